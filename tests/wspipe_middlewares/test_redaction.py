"""Redaction: which names carry secrets, and how what is left is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wspipe_middlewares.redaction import is_secret, printable, redact_query, redact_subprotocol


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "access_token",
        "refreshToken",
        "id-token",
        "X-CSRF-Token",
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "Sec-WebSocket-Protocol",
        "api_key",
        "apiKey",
        "X-API-Key",
        "accessKey",
        "AWS_ACCESS_KEY_ID",
        "private-key",
        "authKey",
        "session_key",
        "key",
        "password",
        "new_password",
        "passwd",
        "pwd",
        "pass",
        "passphrase",
        "passcode",
        "client_secret",
        "X-Amz-Signature",
        "X-Amz-Credential",
        "sig",
        "code",
        "state",
        "nonce",
        "otp",
        "pin",
        "jwt",
        "bearer",
        "session",
        "session_id",
        "SESSIONID",
        "sid",
        "ticket",
        " token ",
        "token[]",
        "key[]",
        "PHPSESSID",
        "csrfmiddlewaretoken",
        "X-XSRF",
        "auth.code",
    ],
)
def test_names_that_carry_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "room",
        "q",
        "page",
        "user",
        "keyboard",
        "codec",
        "statement",
        "pinned",
        "sides",
        "passage",
        "monkey",
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize("more", ["room_number", "Room-Number", "roomNumber"])
def test_further_names_are_secret_in_any_spelling(more: str) -> None:
    assert not is_secret("room-number")
    assert is_secret("room-number", {more})
    assert is_secret("ROOM_NUMBER", {more})


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (b"", ""),
        (b"a=1&b=2", "a=1&b=2"),
        (b"token=x", "token=[redacted]"),
        (b"a=1&token=x&b=2", "a=1&token=[redacted]&b=2"),
        (b"token=x&token=y", "token=[redacted]&token=[redacted]"),
        (b"token=a=b==", "token=[redacted]"),
        (b"token=", "token=[redacted]"),
        (b"%74oken=x", "%74oken=[redacted]"),
        (b"access+token=x", "access+token=[redacted]"),
        (b"TOKEN=x", "TOKEN=[redacted]"),
        (b"flag&a", "flag&a"),
        (b"a=1;token=x;b=2", "a=1;token=[redacted];b=2"),
        (b"12345678901234567890", "12345678901234567890"),
        (b"a=1&123456789012345678901", "a=1&[redacted]"),
        (b"a=%20&&b", "a=%20&&b"),
        (b"a=\xff", "a=\xff"),
    ],
)
def test_the_values_of_secret_parameters_are_hidden(query: bytes, shown: str) -> None:
    assert redact_query(query) == shown


def test_further_parameters_can_be_hidden() -> None:
    assert redact_query(b"room=5&q=1", {"room"}) == "room=[redacted]&q=1"


@given(
    before=st.lists(st.binary(max_size=8), max_size=3),
    after=st.lists(st.binary(max_size=8), max_size=3),
)
def test_a_secret_is_hidden_wherever_it_stands(before: list[bytes], after: list[bytes]) -> None:
    query = b"&".join([*before, b"token=s3cr3tv4lu3", *after])
    assert "s3cr3tv4lu3" not in redact_query(query)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hello", "hello"),
        ("é 🦊 ß", "é 🦊 ß"),
        ("a\r\nb", r"a\r\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b31m", r"\x9b31m"),
        ("\0\t\x7f", r"\x00\t\x7f"),
        ("\u2028\u202e\ufeff", r"\u2028\u202e\ufeff"),
        ("\ud800", r"\ud800"),
        ("1234567890", "1234567890"),
        ("12345678901", "1234567890…"),
        ("\n" * 11, r"\n" * 10 + "…"),
    ],
)
def test_what_cannot_be_printed_is_escaped_and_what_is_long_is_cut(text: str, shown: str) -> None:
    assert printable(text, 10) == shown


@given(st.text(st.characters(), max_size=50), st.integers(0, 60))
def test_what_is_shown_is_printable_and_bounded(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= 10 * limit + 1


@pytest.mark.parametrize(
    "name",
    ["access_code", "code_verifier", "SAMLResponse", "connect.sid", "Ocp-Apim-Subscription-Key"],
)
def test_less_common_names_of_secrets_are_known(name: str) -> None:
    assert is_secret(name)


def test_a_subprotocol_too_long_for_a_name_is_hidden() -> None:
    assert redact_subprotocol("graphql-transport-ws") == "graphql-transport-ws"
    assert redact_subprotocol("eyJhbGciOiJIUzI1NiJ9." * 5) == "[redacted]"
    assert redact_subprotocol("a\nb") == r"a\nb"
