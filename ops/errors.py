"""The three ways in which Growset stops, each with its exit code, and what no message may show: credentials.

A door (command line, Dagster asset, DVC stage) turns these into its own language; nothing else in
`ops` knows which door it runs behind.
"""

import errno
import os
import re

# Libraries in Rust and C++, and SQLite, tell what the operating system refused in words only.
_REFUSALS = (
    *(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)),
    "database or disk is full",
    "attempt to write a readonly database",
    "unable to open database file",
)


# Control characters, those that turn the direction of text, and Python's stand-ins for bytes that are no text.
_STEERING = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ENDLESS = re.compile(r"(\S{300})\S{300,}(\S{100})")
LONGEST = 3_000  # characters of a sentence


class GrowsetError(Exception):
    """Base of every error that Growset raises on purpose; the message is one readable sentence without credentials.

    What it quotes of users' files may hold line ends or signs that steer a terminal: they are shown as escapes, and
    what has no end is cut.
    """

    exit_code = 1

    def __init__(self, sentence: str) -> None:
        shown = _STEERING.sub(lambda sign: ascii(sign[0])[1:-1], hide_credentials(sentence))
        super().__init__(_ENDLESS.sub(r"\1…\2", shown)[:LONGEST])


class UserError(GrowsetError):
    """A user's mistake: what, where, what is allowed. Raised before any compute starts."""

    exit_code = 2


class EnvironmentFault(GrowsetError):
    """The machine failed: disk full, folder read-only, remote unreachable. A re-run resumes."""

    exit_code = 3


def find_fault(error: Exception) -> EnvironmentFault | None:
    """What the machine refused, as the fault that it is; None where the error is another."""
    told = isinstance(error, OSError) and not isinstance(error, BrokenPipeError)
    if not told and not any(words in str(error) for words in _REFUSALS):
        return None
    (line, *_) = str(error).splitlines() or [type(error).__name__]
    return EnvironmentFault(f"{line}; mend that and run it again, what is done is kept")


class DamagedData(GrowsetError):
    """Stored data is not what was written; the message names the file and, where known, the row."""

    exit_code = 4


_USER = re.compile(
    r"""
    ( \b [a-z][a-z0-9+.-]+ :/{1,2} )        # the scheme; a path that begins like one has a single slash
    (?: [^\s/@'"]+                          # user, and perhaps password
      | [^\s/@:'"]+ : (?! \d+ / ) [^\s@'"]+ # a key with slashes in it, which is not the port of a host
    ) @
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUERY = re.compile(r"""(\b[a-z][a-z0-9+.-]+:/{1,2}[^\s'"?]*)\?[^\s'",;)]+""", re.IGNORECASE)
HIDDEN = "***"


def hide_credentials(text: str) -> str:
    """`text` with *** for who logs in, and for the query, in every address that stands in it."""
    if ":/" not in text:
        return text
    return _QUERY.sub(rf"\1?{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def find_credentials(address: str) -> set[str]:
    """What `hide_credentials` takes out of an address, in the parts that a driver may repeat elsewhere."""
    users = [match[0].removeprefix(match[1]).removesuffix("@") for match in _USER.finditer(address)]
    queries = [match[0].removeprefix(match[1]) for match in _QUERY.finditer(address)]
    values = [part.partition("=")[2] for query in queries for part in query.lstrip("?").split("&")]
    passwords = [user.partition(":")[2] for user in users]
    return {part for part in (*users, *passwords, *queries, *values) if len(part) > 3}
