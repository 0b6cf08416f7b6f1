"""`OriginCheck` lets in the pages of listed origins, and nothing that only looks like them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wspipe import (
    ASGIConnection,
    ConnectionRejected,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    WebSocket,
    websocket_app,
)
from wspipe.cli.bench import measure
from wspipe.testing import ConnectionDenied, connect, websocket_scope
from wspipe_middlewares.origin_check import OriginCheck

if TYPE_CHECKING:
    from wspipe import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]


def drive(check: OriginCheck, scope: Scope) -> bool:
    """Tell whether a connection is let in; a guard without a wrapper needs no event loop."""
    connection: ASGIConnection = ASGIConnection(scope)
    try:
        check.admit(connection).send(None)
    except StopIteration:
        return True
    except ConnectionRejected:
        return False
    raise AssertionError


def scope_of(*origins: str | bytes, host: str | None = "testserver", **scope: Any) -> Scope:
    values = [each if isinstance(each, bytes) else each.encode("latin-1") for each in origins]
    headers: Headers = [(b"origin", value) for value in values]
    if host is not None:
        headers.insert(0, (b"host", host.encode("latin-1")))
    return {**websocket_scope(), "headers": headers, **scope}


def lets_in(check: OriginCheck, *origins: str | bytes, **scope: Any) -> bool:
    return drive(check, scope_of(*origins, **scope))


LISTED = OriginCheck(("https://example.com",), same_origin=False)

# What is listed


@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com:443", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("https://Example.COM", "HTTPS://eXample.com"),
        ("https://example.com:8443", "https://example.com:8443"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://example.com.", "https://example.com."),
        ("https://[2001:DB8:0::1]", "https://[2001:db8::1]"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8:0:0::1]:8443"),
        ("http://192.0.2.1:8000", "http://192.0.2.1:8000"),
        ("http://my_host", "http://my_host"),
        ("chrome-extension://abcdefghij", "chrome-extension://abcdefghij"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("null", "null"),
    ],
)
def test_an_origin_that_is_listed_may_connect_in_any_spelling(listed: str, sent: str) -> None:
    assert lets_in(OriginCheck(("https://other.example", listed), same_origin=False), sent)


@pytest.mark.parametrize(
    "sent",
    [
        # Others
        "http://example.com",
        "https://example.com:8443",
        "https://example.com:80",
        "https://example.org",
        "wss://example.com",
        "null",
        # Names that look alike
        "https://example.com.evil.org",
        "https://evil-example.com",
        "https://evilexample.com",
        "https://www.example.com",
        "https://example.com.",
        "https://example.co",
        "https://example.comm",
        "https://ex\u0430mple.com".encode(),  # with a Cyrillic letter
        "https://example\u3002com".encode(),
        "https://\uff45xample.com".encode(),
        "https://example.com\u200b".encode(),
        b"https://example\xadcom",
        # What a parser might leave out
        "https://example.com/",
        "https://example.com/path",
        "https://example.com?",
        "https://example.com#",
        "https://example.com:",
        "https://example.com:0443",
        "https://example.com:+443",
        "https://example.com:443443",
        "https://example.com:65979",  # 443 in 16 bits
        "https://example.com:x",
        "https://user@example.com",
        "https://example.com@evil.org",
        "https://evil.org@example.com",
        "https://evil.org#@example.com",
        "https://evil.org\\@example.com",
        "https://evil.org/https://example.com",
        "https:example.com",
        "https:/example.com",
        "https:///example.com",
        "https:\\\\example.com",
        "//example.com",
        "example.com",
        "://example.com",
        "https://",
        "https",
        "",
        "*",
        "https://*",
        "https://.example.com",
        "https://example..com",
        # White space and control characters
        " https://example.com",
        "https://example.com ",
        "\thttps://example.com",
        "https://example.com\t",
        "https://exam\tple.com",
        "ht\ntps://example.com",
        "https://example.com\n",
        "https://example.com\r\n",
        "https://example.com\0",
        "https://example.com\0.evil.org",
        "https://evil.org https://example.com",
        "https://example.com https://evil.org",
        "https://example.com, https://evil.org",
        # Other spellings of bytes and addresses
        "https://example%2ecom",
        "https://%65xample.com",
        "https%3a//example.com",
        "https://example.com%00.evil.org",
        "https://[example.com]",
        "https://[::1",
        "https://[::1]]",
        "https://[fe80::1%eth0]",
        "https://[::1]example.com",
        "https://[:::]",
        "NULL",
        "Null",
        "null ",
        "undefined",
    ],
)
def test_nothing_else_may(sent: str | bytes) -> None:
    assert not lets_in(LISTED, sent)
    assert not lets_in(OriginCheck(), sent)


@pytest.mark.parametrize(
    "sent",
    [
        "https://" + "a" * 1_000_000,
        "https://" + "a." * 500_000 + "com",
        "a" * 1_000_000 + "://example.com",
        "https://example.com:" + "4" * 1_000_000,
        "https://[" + ":" * 1_000_000 + "]",
        "https://[" + "1:" * 500_000 + "1]",
        "null" * 250_000,
    ],
    ids=["host", "labels", "scheme", "port", "colons", "groups", "null"],
)
def test_absurd_lengths_are_refused(sent: str) -> None:
    assert not lets_in(LISTED, sent)
    assert not lets_in(OriginCheck(), sent, host=sent[8:])


def test_two_origins_are_refused_though_both_may() -> None:
    assert not lets_in(LISTED, "https://example.com", "https://example.com")
    assert not lets_in(LISTED, "https://example.com", "https://evil.org")
    assert not lets_in(LISTED, "https://example.com", "")


def test_a_header_in_another_case_is_read() -> None:
    scope = websocket_scope(headers=[(b"Origin", b"https://evil.org")])
    assert not drive(OriginCheck(missing="allow"), scope)


LATIN_1 = st.characters(max_codepoint=255)


@given(st.integers(0, 19), st.integers(0, 2), st.text(LATIN_1, max_size=4))
@example(19, 0, ":443")
@example(10, 1, "A")
def test_what_is_a_few_characters_off_is_another_origin(at: int, less: int, more: str) -> None:
    sent = "https://example.com"[:at] + more + "https://example.com"[at + less :]
    same = sent.lower().removesuffix(":443") == "https://example.com"
    assert lets_in(LISTED, sent) == same


@given(st.text(LATIN_1))
def test_whatever_comes_is_decided(sent: str) -> None:
    assert not lets_in(LISTED, sent)
    assert not lets_in(OriginCheck(), "http://example.com", host=sent)


# Nothing at all


@pytest.mark.parametrize("same_origin", [True, False])
def test_a_client_that_sends_no_origin_is_let_in_only_where_it_says_so(
    *, same_origin: bool
) -> None:
    allow = ("https://example.com",)
    assert not lets_in(OriginCheck(allow, same_origin=same_origin))
    check = OriginCheck(allow, same_origin=same_origin, missing="allow")
    assert lets_in(check)
    assert drive(check, {"type": "websocket"})
    assert not lets_in(check, "")
    assert not lets_in(check, "null")


# Same origin


@pytest.mark.parametrize(
    ("scheme", "host", "sent"),
    [
        ("ws", "example.com", "http://example.com"),
        ("wss", "example.com", "https://example.com"),
        ("wss", "example.com:443", "https://example.com"),
        ("ws", "EXAMPLE.com:80", "http://example.com"),
        ("ws", "localhost:8000", "http://localhost:8000"),
        ("wss", "[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_the_servers_own_pages_may_connect_unless_that_is_turned_off(
    scheme: str, host: str, sent: str
) -> None:
    assert lets_in(OriginCheck(), sent, scheme=scheme, host=host)
    other = OriginCheck(("https://other.example",), same_origin=False)
    assert not lets_in(other, sent, scheme=scheme, host=host)


@pytest.mark.parametrize(
    ("scheme", "host", "sent"),
    [
        ("ws", "example.com", "https://example.com"),
        ("wss", "example.com", "http://example.com"),
        ("ws", "example.com:443", "https://example.com"),
        ("wss", "example.com:80", "http://example.com"),
        ("ws", "example.com:8000", "http://example.com"),
        ("ws", "example.com", "http://example.com."),
        ("ws", "example.com", "http://www.example.com"),
        ("http", "example.com", "http://example.com"),
        ("", "example.com", "http://example.com"),
        ("ws", None, "http://testserver"),
        ("ws", "", "http://"),
        ("ws", "/", "http:///"),
        ("ws", "user@example.com", "http://example.com"),
        ("ws", "user@example.com", "http://user@example.com"),
        ("ws", "example.com/", "http://example.com"),
        ("ws", "ex%61mple.com", "http://ex%61mple.com"),
        ("ws", "example.com, evil.org", "http://evil.org"),
        ("ws", "example.com ", "http://example.com"),
        ("ws", "evil.org", "null"),
    ],
)
def test_other_pages_are_not_the_servers_own(scheme: str, host: str | None, sent: str) -> None:
    assert not lets_in(OriginCheck(), sent, scheme=scheme, host=host)


def test_a_scope_without_a_scheme_is_not_encrypted() -> None:
    scope = scope_of("http://example.com", host="example.com")
    del scope["scheme"]
    assert drive(OriginCheck(), scope)
    scope = scope_of("https://example.com", host="example.com")
    del scope["scheme"]
    assert not drive(OriginCheck(), scope)


def test_with_two_hosts_no_page_is_the_servers_own() -> None:
    headers: Headers = [
        (b"host", b"example.com"),
        (b"host", b"example.com"),
        (b"origin", b"http://example.com"),
    ]
    assert not drive(OriginCheck(), {**websocket_scope(), "headers": headers})
    assert drive(OriginCheck(("http://example.com",)), {**websocket_scope(), "headers": headers})


def test_a_listed_origin_may_connect_besides_the_servers_own() -> None:
    check = OriginCheck(["https://app.example.com"])  # type: ignore[arg-type]
    assert hash(check) == hash(OriginCheck(("https://app.example.com",)))
    assert lets_in(check, "https://app.example.com")
    assert lets_in(check, "http://testserver")
    assert not lets_in(check, "https://testserver")


# What the client and the application see


@pytest.mark.anyio
async def test_the_application_never_runs_for_who_is_refused_and_the_answer_tells_nothing() -> None:
    ran = False

    async def application(_scope: Scope, _receive: Receive, _send: Send) -> None:
        nonlocal ran
        ran = True

    app = PipelineMiddleware(application, LISTED)
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(app, headers={"origin": "https://evil.org"}):
            pass
    assert (denied.value.status, denied.value.body) == (403, b"origin not allowed\n")
    assert list(denied.value.headers) == [(b"content-type", b"text/plain; charset=utf-8")]
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(app, headers={"origin": "https://evil.org"}, extensions=()):
            pass
    assert (denied.value.code, denied.value.reason) == (1008, "origin not allowed")
    assert not ran


@pytest.mark.anyio
async def test_who_is_let_in_is_not_wrapped() -> None:
    @websocket_app(pipeline=LISTED)
    async def app(socket: WebSocket) -> None:
        async for text in socket.iter_text():
            await socket.send_text(text)

    async with connect(app, headers={"origin": "https://example.com"}) as client:
        await client.send_text("hello")
        assert await client.receive() == "hello"

    async def receive() -> Any: ...
    async def send(_: Any) -> None: ...

    assert LISTED(ASGIConnection(websocket_scope()), receive, send) == (receive, send)


# Options


@pytest.mark.parametrize(
    ("listed", "right"),
    [
        ("https://example.com/", "https://example.com"),
        ("https://example.com/chat?x#y", "https://example.com"),
        ("https://user:secret@example.com:8443", "https://example.com:8443"),
        ("example.com", "https://example.com"),
        ("localhost:3000", "https://localhost:3000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://faß.de:8443/", "https://xn--fa-hia.de:8443"),
        ("https://*.example.com", "https://chat.example.com"),
        ("*", "https://chat.example.com"),
        ("https://.example.com", "https://chat.example.com"),
        ("https://exam ple.com", "https://chat.example.com"),
        ("https://ex%61mple.com", "https://chat.example.com"),
        ("https://example.com:99999", "https://chat.example.com"),
        ("https://[::1", "https://chat.example.com"),
        ("https://[fe80::1%25eth0]", "https://chat.example.com"),
        ("https://\u212aelvin.example", "https://kelvin.example"),
        ("file://", "https://chat.example.com"),
        ("NULL", "https://null"),
        ("", "https://chat.example.com"),
        (b"https://example.com", "https://chat.example.com"),
        (None, "https://chat.example.com"),
    ],
)
def test_what_is_no_origin_cannot_be_listed(listed: Any, right: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        OriginCheck(("https://ok.example", listed))
    assert str(refused.value).startswith(f"allow: {listed!r} is no origin")
    assert str(refused.value).endswith(f"such as {right!r}")


@given(st.text() | st.from_regex(r"https?://[^/]{0,20}(:[0-9]*)?/?", fullmatch=True))
def test_whatever_is_listed_is_read_or_refused(listed: str) -> None:
    try:
        check = OriginCheck((listed,))
    except ImproperlyConfiguredException:
        return
    assert lets_in(check, listed)


@pytest.mark.parametrize("allow", ["https://example.com", {"https://example.com"}, None])
def test_origins_are_given_as_a_tuple(allow: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"^allow=.*must be a tuple of origins"):
        OriginCheck(allow)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"missing": "ignore"}, "missing='ignore' must be one of 'reject', 'allow'"),
        ({"missing": None}, "missing=None must be one of 'reject', 'allow'"),
        ({"same_origin": "no"}, "same_origin='no' must be True or False"),
        ({"same_origin": 1}, "same_origin=1 must be True or False"),
        ({"same_origin": False}, "allow=() must be one origin at least: else nobody could connect"),
    ],
)
def test_other_options_are_refused_by_name(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        OriginCheck(**options)
    assert str(refused.value) == said


def test_pages_may_be_refused_altogether() -> None:
    check = OriginCheck(same_origin=False, missing="allow")
    assert lets_in(check)
    assert not lets_in(check, "http://testserver")


def test_it_says_that_it_checks_the_origin() -> None:
    assert OriginCheck().checks_origin
    assert repr(OriginCheck(("null",))) == (
        "OriginCheck(allow=('null',), same_origin=True, missing='reject')"
    )
    assert OriginCheck() == OriginCheck()
    assert OriginCheck() != OriginCheck(("null",))


def test_it_can_be_measured() -> None:
    check = OriginCheck(("https://example.com",))
    found = measure(Pipeline(check), rounds=1)
    assert [stage.stage for stage in found.stages] == ["StateValidation", "OriginCheck"]
    assert not lets_in(check)
