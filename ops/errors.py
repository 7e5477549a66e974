"""The errors that stop Growset, each with its exit code, and the removal of secrets from messages and causes.

The entry point (command line, Dagster asset, DVC stage) decides how an error is shown. Nothing in `ops` knows which
entry point called it.
"""

import errno
import os
import re
import traceback
from typing import NoReturn
from urllib.parse import unquote

# Rust and C++ libraries and SQLite report an error of the operating system only in the text of their message.
_REFUSALS = (
    *(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.ENOMEM)),
    "CUDA out of memory",
    "database or disk is full",
    "attempt to write a readonly database",
    "unable to open database file",
)

# Control characters, characters that set the direction of text, and surrogates, Python's stand-ins for invalid bytes.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONG_WORD = re.compile(r"(\S{300})\S{300,}(\S{100})")
MAX_CHARACTERS = 3_000  # of a message


class GrowsetError(Exception):
    """Base of every error that Growset raises on purpose; the message is one readable sentence without credentials.

    A quote from a user's file may hold line breaks or control characters: they are shown as escapes. Very long words
    and messages are cut.
    """

    exit_code = 1

    def __init__(self, sentence: str) -> None:
        shown = _CONTROL.sub(lambda character: ascii(character[0])[1:-1], hide_credentials(sentence))
        super().__init__(_LONG_WORD.sub(r"\1…\2", shown)[:MAX_CHARACTERS])


class GeneratorNotUsed(GrowsetError):
    """The generator has not learnt, so there is nothing to publish; all stages are current."""


class UserError(GrowsetError):
    """A user's mistake: what, where, what is allowed. Raised before any compute starts."""

    exit_code = 2


class EnvironmentFault(GrowsetError):
    """The machine failed: disk full, folder read-only, remote unreachable. A re-run resumes."""

    exit_code = 3


ADVICE = "fix this and run it again; finished work is kept"


def find_fault(error: Exception) -> EnvironmentFault | None:
    """`error` as an `EnvironmentFault` if the operating system or a lack of memory caused it; else None."""
    if isinstance(error, MemoryError):
        (line, *_) = str(error).splitlines() or [""]
        return EnvironmentFault(f"there is not enough memory{line and f': {line}'}; {ADVICE}")
    is_os_error = isinstance(error, OSError) and not isinstance(error, BrokenPipeError)
    if not is_os_error and not any(words in str(error) for words in _REFUSALS):
        return None
    (line, *_) = str(error).splitlines() or [type(error).__name__]
    return EnvironmentFault(f"{line}; {ADVICE}")


class DamagedData(GrowsetError):
    """Stored data differs from what was written; the message names the file and, where known, the row."""

    exit_code = 4


_USER = re.compile(
    r"""
    ( \b [a-z][a-z0-9+.-]+ :/{1,2} )        # the scheme; `Path` leaves a single slash
    (?: [^\s/@'"]+                          # user, and perhaps password
      | [^\s/@:'"]+ : (?! \d+ / ) [^\s@'"]+ # a key that contains slashes; the port of a host is excluded
    ) @
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUERY = re.compile(r"""(\b[a-z][a-z0-9+.-]+:/{1,2}[^\s'"?]*)\?[^\s'",;)]+""", re.IGNORECASE)
# A value in a query without its address, which libraries print too: "exceeded with url: /images?token=abc".
_VALUE = re.compile(
    r"""([?&][\w.-]*(?:token|secret|password|signature|sig|key|credential|auth)[\w.-]*=)[^\s&'",;)]+""", re.IGNORECASE
)
# Names of environment variables whose values are secrets.
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|KEY|ACCESS_KEY_ID|WEBHOOK|CONNECTION_STRING)$"
)
LEAST_CHARACTERS = 8  # of such a value; a shorter one may be a common word
HIDDEN = "***"


def hide_credentials(text: str) -> str:
    """`text` without secrets: *** for user name, password and query of every address in it, and for the values of
    environment variables that hold secrets by their names, such as AWS_SECRET_ACCESS_KEY."""
    for secret in _list_environment_secrets():
        text = text.replace(secret, HIDDEN)
    if ":/" in text:
        text = _QUERY.sub(rf"\1?{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))
    return _VALUE.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def find_credentials(address: str) -> set[str]:
    """The parts of an address that `hide_credentials` removes, split and decoded as a driver may repeat them."""
    users = [match[0].removeprefix(match[1]).removesuffix("@") for match in _USER.finditer(address)]
    queries = [match[0].removeprefix(match[1]) for match in _QUERY.finditer(address)]
    values = [part.partition("=")[2] for query in queries for part in query.lstrip("?").split("&")]
    passwords = [user.partition(":")[2] for user in users]
    found = {*users, *passwords, *queries, *values}
    return {part for part in found | {unquote(part) for part in found} if len(part) > 3}


def _list_environment_secrets() -> list[str]:
    """The longest first, because one may contain another. Of an address the path alone is one too (a webhook's)."""
    values = [value for name, value in os.environ.items() if _SECRET_NAME.search(name.upper())]
    paths = ["/" + value.partition("://")[2].partition("/")[2] for value in values if "://" in value]
    return sorted({each for each in values + paths if len(each) >= LEAST_CHARACTERS}, key=len, reverse=True)


def raise_clean(error: BaseException) -> NoReturn:
    """Raise `error` again without secrets, for those who show it with its stack and its causes."""
    shown = clean(error)
    if shown is error:
        raise error
    raise shown from shown.__cause__


def clean(error: BaseException) -> BaseException:
    """`error` without secrets in its own text and in those of the exceptions that caused it.

    One whose text has a secret is replaced by a RuntimeError with its class, its text without it, and its stack.
    """
    return _clean(error, {})


def _clean(error: BaseException, done: dict[int, BaseException]) -> BaseException:
    if id(error) in done:
        return done[id(error)]
    text = "".join(traceback.format_exception_only(error)).strip()
    hidden = hide_credentials(text)
    shown = error if hidden == text else RuntimeError(hidden).with_traceback(error.__traceback__)
    done[id(error)] = shown
    cause, context, suppressed = error.__cause__, error.__context__, error.__suppress_context__
    shown.__cause__ = None if cause is None else _clean(cause, done)
    shown.__context__ = None if context is None else _clean(context, done)
    shown.__suppress_context__ = suppressed  # to set a cause sets it
    return shown
