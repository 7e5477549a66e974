"""The layer in front of the UI, called as an ASGI application: the requests that it passes on and those it refuses."""

import asyncio
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from ops.errors import UserError
from pipelines.origin_guard import OriginGuard, check_host_name

HERE = "127.0.0.1:3000"
JSON = ("Content-Type", "application/json")
MUTATION = "mutation { reloadWorkspace { __typename } }"


def send(
    method: str,
    target: str = "/graphql",
    *headers: tuple[str, str],
    host: str | None = HERE,
    hosts: tuple[str, ...] = (),
    kind: str = "http",
) -> tuple[int, str]:
    """The answer to a request: status and body, 200 and nothing where it was passed on; 403 for a closed socket."""
    passed: list[Any] = []
    sent: list[Any] = []

    async def application(*arguments: Any) -> None:
        passed.append(arguments)

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def collect(message: Any) -> None:
        sent.append(message)

    named = [*([("Host", host)] if host is not None else []), *headers]
    path, _, query = target.partition("?")
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode("latin-1"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in named],
    }
    asyncio.run(OriginGuard(application, hosts)(scope, receive, collect))
    if passed:
        assert not sent
        return 200, ""
    if kind == "websocket":
        assert [message["type"] for message in sent] == ["websocket.close"]
        return 403, ""
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    body = sent[1]["body"].decode()
    assert body.endswith("\n") and body.count("\n") == 1
    return sent[0]["status"], body


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:3000", "localhost", "localhost:8080", "LocalHost:1", "[::1]", "[::1]:3000"]
)
def test_names_of_this_machine_are_let_in_with_any_port(host: str) -> None:
    assert send("GET", "/", host=host) == (200, "")
    assert send("GET", "/graphql", host=host, kind="websocket") == (200, "")


@pytest.mark.parametrize(
    "host",
    [
        None, "", "evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.evil.example",
        "[::1", "localhost:80:80", "localhost:", "user@localhost", "localhost/", "localhost, evil.example", "::1",
        "0.0.0.0:3000", "evil.localhost", "127.1", "2130706433", "\xe9vil", "localhost\t:3000", "[::ffff:127.0.0.1]",
    ],
)  # fmt: skip
def test_any_other_host_is_refused(host: str | None) -> None:
    for method, target in (("GET", "/"), ("POST", "/graphql"), ("GET", "/logs/a/b.out")):
        status, sentence = send(method, target, JSON, host=host)
        assert status == 403 and "growset ui --allow-host NAME" in sentence
    assert send("GET", "/graphql", host=host, kind="websocket")[0] == 403


def test_two_hosts_are_refused() -> None:
    assert send("GET", "/", ("Host", "localhost:3000"))[0] == 403


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:3000", HERE),
        ("http://localhost:3000", "localhost:3000"),
        ("HTTP://LOCALHOST:3000", "localhost:3000"),
        ("http://[::1]:3000", "[::1]:3000"),
        ("http://localhost", "localhost"),
        ("http://localhost", "localhost:80"),
        ("https://localhost", "localhost:443"),
    ],
)
def test_the_uis_own_pages_are_let_in(origin: str, host: str) -> None:
    assert send("POST", "/graphql", ("Origin", origin), JSON, host=host) == (200, "")
    assert send("GET", "/graphql", ("Origin", origin), host=host, kind="websocket") == (200, "")


@pytest.mark.parametrize(
    "origin",
    [
        "null", "", "http://evil.example", "http://evil.example:3000", "http://localhost:3000", "http://127.0.0.1",
        "http://127.0.0.1:8080", "https://127.0.0.1", "file://", "chrome-extension://abc", "127.0.0.1:3000",
        "http://127.0.0.1:3000/", "http://127.0.0.1:3000.evil.example", "http://127.0.0.1:3000@evil.example",
        "http://127.0.0.1:3000 http://evil.example", "ws://127.0.0.1:3000", "http://127.0.0.1:03000",
    ],
)  # fmt: skip
def test_any_other_origin_is_refused(origin: str) -> None:
    for method, target in (("GET", "/"), ("POST", "/graphql"), ("OPTIONS", "/graphql"), ("HEAD", "/")):
        status, sentence = send(method, target, ("Origin", origin), JSON)
        assert status == 403 and "the Origin is" in sentence
    assert send("GET", "/graphql", ("Origin", origin), kind="websocket")[0] == 403


def test_two_origins_are_refused() -> None:
    own = ("Origin", f"http://{HERE}")
    assert send("POST", "/graphql", own, own, JSON)[0] == 403


def test_a_name_that_the_user_allows_is_let_in_as_host_and_as_origin_of_a_proxy_that_rewrites_the_host() -> None:
    hosts = (check_host_name("UI.Example.org"),)
    origin = ("Origin", "https://ui.example.org")
    assert send("GET", "/", host="ui.example.org", hosts=hosts)[0] == 200
    assert send("POST", "/graphql", origin, JSON, host="ui.example.org", hosts=hosts)[0] == 200
    assert send("POST", "/graphql", origin, JSON, host=HERE, hosts=hosts)[0] == 200
    assert send("GET", "/graphql", origin, host="ui.example.org:443", hosts=hosts, kind="websocket")[0] == 200
    assert send("POST", "/graphql", ("Origin", "https://example.org"), JSON, host=HERE, hosts=hosts)[0] == 403
    assert send("POST", "/graphql", ("Origin", "http://localhost:8080"), JSON, host=HERE, hosts=hosts)[0] == 403
    assert send("GET", "/", host="x.ui.example.org", hosts=hosts)[0] == 403


@pytest.mark.parametrize("name", ["*", "*.example.org", "http://ui.example.org", "ui.example.org:80", "", "a b", "-x"])
def test_an_invalid_host_name_cannot_be_allowed(name: str) -> None:
    with pytest.raises(UserError, match="allowed: the name of one host"):
        check_host_name(name)


@pytest.mark.parametrize(
    "document",
    [
        MUTATION,
        "mutation Named($a: Int) { x: deletePipelineRun(runId: $a) { __typename } }",
        "query A { version } mutation B { reloadWorkspace { __typename } }",
        "# a comment\n" + MUTATION,
        "\ufeff" + MUTATION,
        "fragment F on Mutation { reloadWorkspace { __typename } } mutation { ...F }",
        "subscription { locationStateChangeEvents { event { message } } }",
    ],
)
def test_operations_that_change_something_are_refused_by_get(document: str) -> None:
    queries = [
        urlencode({"query": document}),
        "query=" + quote(document, safe=""),
        urlencode({"operationName": "A", "query": document, "variables": "{}"}),
        "&".join((urlencode({"query": "{version}"}), urlencode({"query": document}))),
        "&".join((urlencode({"query": document}), urlencode({"query": "{version}"}))),
        "q%75ery=" + quote(document, safe=""),
    ]
    for query in queries:
        for path in ("/graphql", "/graphql\n", "/GraphQL", "/prefix/graphql/", "//graphql"):
            status, sentence = send("GET", f"{path}?{query}", ("Accept", "application/json"))
            assert status == 405 and "only queries are answered by GET" in sentence, path


@pytest.mark.parametrize("document", ["{" * 60_000, "{a" * 20_000 + "}" * 20_000, "query($a:" + "[" * 60_000])
def test_a_document_that_is_too_deep_to_parse_does_not_crash(document: str) -> None:
    assert send("GET", f"/graphql?{urlencode({'query': document})}")[0] in (200, 405)


@pytest.mark.parametrize(
    "query", ["", "?query={version}", "?query=query%20Q%7Bversion%7D", "?query=mutation", "?x=mutation"]
)
def test_queries_are_answered_by_get(query: str) -> None:
    assert send("GET", f"/graphql{query}") == (200, "")


@pytest.mark.parametrize(
    "kind",
    [
        None, "", "text/plain", "text/plain;charset=UTF-8", "multipart/form-data; boundary=x", "application/jsonx",
        "application/x-www-form-urlencoded", "text/plain; application/json", "text/plain;a=application/graphql",
    ],
)  # fmt: skip
def test_a_form_of_another_site_cannot_post(kind: str | None) -> None:
    """A page may send these without asking; Dagster looks for "application/json" anywhere, and else at the address."""
    headers = [] if kind is None else [("Content-Type", kind)]
    for target in ("/graphql", f"/graphql?{urlencode({'query': MUTATION})}"):
        status, sentence = send("POST", target, *headers)
        assert status == 415 and "allowed: application/json and application/graphql" in sentence


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/graphql"]
)
def test_programs_on_this_machine_may_post_without_an_origin(kind: str) -> None:
    assert send("POST", "/graphql", ("Content-Type", kind)) == (200, "")


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
def test_a_post_that_the_browser_calls_foreign_is_refused_without_an_origin_too(site: str, status: int) -> None:
    assert send("POST", "/report_asset_materialization/a", ("Sec-Fetch-Site", site))[0] == status
    assert send("GET", "/", ("Sec-Fetch-Site", site))[0] == 200, "a link to the UI from somewhere else works"


def test_startup_and_shutdown_events_of_the_server_pass() -> None:
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(OriginGuard(application)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
