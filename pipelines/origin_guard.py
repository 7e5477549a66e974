"""A layer in front of the Dagster UI that answers only the UI's own pages, and programs on this machine.

The UI has no login and trusts every request. Two attacks reach a server on the loopback address through the user's
browser: a page of another site that sends requests there (cross-site request forgery), and a page whose name is made
to point there (DNS rebinding). Such requests carry a foreign Origin or a foreign Host, which no page can change. The
module knows HTTP and the kinds of GraphQL operations, but not Dagster.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

from ops.errors import UserError

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
OPTION = "growset ui --allow-host"
JSON_TYPES = ("application/json", "application/graphql")
DEFAULT_PORTS = {"http": "80", "https": "443"}
_NAME = re.compile(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\s:/?#@\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_ORIGIN = re.compile(rf"(?P<scheme>https?)://{_HOST.pattern}")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused: an HTTP status, one sentence, and headers that the status needs."""

    status: int
    sentence: str
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


class OriginGuard:
    """An ASGI application that passes requests on to `application` unless `examine` refuses them.

    hosts: further names, in lower case, that are allowed besides this machine's: those of a reverse proxy in front.
    """

    def __init__(self, application: Application, hosts: Iterable[str] = ()) -> None:
        self.application = application
        self.hosts = tuple(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = examine(scope, self.hosts) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self.application(scope, receive, send)
            return
        logging.getLogger("growset.ui").warning("refused a request: %s", refusal.sentence)
        if scope["type"] == "websocket":
            await receive()  # the request to connect
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
        await send({"type": "http.response.start", "status": refusal.status, "headers": [*headers, *refusal.headers]})
        await send({"type": "http.response.body", "body": f"{refusal.sentence}\n".encode()})


def check_host_name(name: str) -> str:
    """The name in lower case; UserError unless it is the name of one host, without scheme, port or wildcard."""
    lower = name.lower()
    if not _NAME.fullmatch(lower):
        raise UserError(f"--allow-host is {name!r}; allowed: the name of one host, such as ui.example.org")
    return lower


def examine(scope: Scope, hosts: Iterable[str] = ()) -> Refusal | None:
    """Why the request must not reach the UI, or None. `scope` is ASGI's, of type http or websocket."""
    allowed = {*LOCAL_NAMES, *hosts}
    named = _values(scope, b"host")
    host = _HOST.fullmatch(named[0].lower()) if len(named) == 1 else None
    if host is None or host["name"] not in allowed:
        shown = " and ".join(map(ascii, named)) or "missing"
        return Refusal(403, f"the Host is {shown}; a name of your own is allowed with {OPTION} NAME")
    origins = _values(scope, b"origin")
    if origins and not (len(origins) == 1 and _is_own(origins[0].lower(), host, set(hosts))):
        shown = " and ".join(map(ascii, origins))
        return Refusal(403, f"the Origin is {shown}, not this UI; a name of your own is allowed with {OPTION} NAME")
    if scope["type"] == "websocket":
        return None
    reading = scope["method"] in ("GET", "HEAD")
    sites = _values(scope, b"sec-fetch-site")
    if not reading and not origins and any(site not in ("same-origin", "none") for site in sites):
        return Refusal(403, "the request was sent by another site; this UI answers its own pages")
    if "graphql" in scope["path"].lower():  # anywhere in the path: routers differ in slashes and line ends
        return _examine_reading(scope) if reading else _examine_writing(scope)
    return None


def _examine_reading(scope: Scope) -> Refusal | None:
    """Any page can send a GET, for instance as an image's address, so a GET may query but not change anything."""
    for key, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        if key == "query" and not _only_asks(value):
            sentence = "only queries are answered by GET; send other operations by POST"
            return Refusal(405, sentence, ((b"allow", b"POST"),))
    return None


def _examine_writing(scope: Scope) -> Refusal | None:
    """A form of any site may send text or form fields without permission, but not JSON."""
    if scope["method"] != "POST":
        return None
    types = _values(scope, b"content-type")
    if len(types) == 1 and types[0].partition(";")[0].strip().lower() in JSON_TYPES:
        return None
    shown = " and ".join(map(ascii, types)) or "missing"
    return Refusal(415, f"the Content-Type is {shown}; allowed: {' and '.join(JSON_TYPES)}")


def _only_asks(document: str) -> bool:
    """Whether every operation of a GraphQL document is a query; text that is not a document changes nothing either."""
    try:
        parsed = parse(document)
    except GraphQLError:
        return True
    except RecursionError:
        return False
    operations = [node for node in parsed.definitions if isinstance(node, OperationDefinitionNode)]
    return all(node.operation is OperationType.QUERY for node in operations)


def _is_own(origin: str, host: re.Match[str], hosts: set[str]) -> bool:
    """Whether a page of this origin belongs to the UI: the same host and port, or any port of an allowed name."""
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return False
    port = DEFAULT_PORTS[found["scheme"]]
    same = found["name"] == host["name"] and (found["port"] or port) == (host["port"] or port)
    return same or found["name"] in hosts


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key.lower() == name]
