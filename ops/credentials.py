"""Addresses as they may be shown: without the password, key or signature that somebody wrote into them."""

from __future__ import annotations

import re

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
