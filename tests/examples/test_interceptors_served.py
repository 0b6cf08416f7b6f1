"""The interceptors in `examples/interceptors/`, as clients of a real server meet them."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDER = Path(__file__).parents[2] / "examples" / "interceptors"
PATIENCE = 30


class Served:
    """A program that uvicorn serves."""

    def __init__(self, server: Any, stack: ExitStack) -> None:
        self.server = server
        self.stack = stack

    def meet(self, path: str = "/", **options: Any) -> ClientConnection:
        """Connect, until the end of the test."""
        client = connect(f"ws://{self.server.address}{path}", **options)
        self.stack.enter_context(client)
        assert client.ping().wait(PATIENCE)  # by now the application has the connection
        return client

    def stop(self) -> list[str]:
        """Have all clients leave, stop the server, and give what it printed."""
        self.stack.close()
        log: str = self.server.stop()
        assert "Traceback" not in log
        return log.splitlines()


@pytest.fixture
def served(serve: Callable[..., Any]) -> Iterator[Callable[[str], Served]]:
    """Serve one of the interceptors."""
    with ExitStack() as stack:

        def run(program: str) -> Served:
            return Served(stack.enter_context(serve(f"{program}:app", FOLDER)), clients)

        clients = stack.enter_context(ExitStack())
        yield run


def exchange(client: ClientConnection, message: str | bytes) -> str | bytes:
    client.send(message)
    return client.recv(PATIENCE)


def code_after(client: ClientConnection, message: str | bytes) -> int | None:
    client.send(message)
    with pytest.raises(ConnectionClosed):
        client.recv(PATIENCE)
    return client.close_code


def test_redact(served: Callable[[str], Served]) -> None:
    server = served("redact")
    answer = exchange(server.meet(), "4111 1111 1111 1111 12/27")
    assert answer == "you said 4000 0000 0000 1111 12/27"
    server.stop()


def test_filter(served: Callable[[str], Served]) -> None:
    server = served("filter")
    ann, bob = server.meet(), server.meet()
    price, other = json.dumps({"type": "price", "value": 7}), json.dumps({"type": "other"})
    ann.send(json.dumps({"subscribe": ["price"]}))
    assert exchange(ann, price) == price
    bob.send(price)
    assert exchange(bob, other) == other
    server.stop()


def test_transform(served: Callable[[str], Served]) -> None:
    server = served("transform")
    packed, plain = server.meet(subprotocols=["json", "msgpack"]), server.meet()
    assert (packed.subprotocol, plain.subprotocol) == ("msgpack", None)
    answer = exchange(packed, msgpack.packb({"zwölf": [12]}))
    assert isinstance(answer, bytes)
    assert msgpack.unpackb(answer) == {"zwölf": [12]}
    assert exchange(plain, '{"zwölf":[12]}') == '{"zwölf":[12]}'
    assert code_after(packed, b"\xc1") == 1007
    server.stop()


def test_validate(served: Callable[[str], Served]) -> None:
    server = served("validate")
    client = server.meet()
    error = json.loads(exchange(client, '{"item": "tea", "amount": 0}'))
    assert error == {"error": "Expected `int` >= 1 - at `$.amount`"}
    order = {"item": "tea", "amount": 1}
    assert json.loads(exchange(client, json.dumps(order))) == {"ordered": order}
    server.stop()


def test_message_auth(served: Callable[[str], Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESSAGE_KEY", "s3cret")
    server = served("message_auth")
    client = server.meet()
    assert client.response is not None
    name = client.response.headers["x-connection"]

    def signed(number: int, text: str) -> str:
        mac = hmac.new(b"s3cret", f"{name} {number} {text}".encode(), "sha256")
        return mac.hexdigest() + text

    for number, text in enumerate(("one", "zwölf"), 1):
        assert exchange(client, signed(number, text)) == text
    assert code_after(client, signed(2, "zwölf")) == 3000
    assert client.close_reason == "the signature is wrong"
    server.stop()


def test_the_room_suppresses_echoes_and_does_what_the_file_says(
    served: Callable[[str], Served],
) -> None:
    server = served("room")
    ann, bob = server.meet(), server.meet()
    for text in ("my card is 4111111111111111", '{"type": "news"}', "hello"):
        ann.send(text)
    assert bob.recv(PATIENCE) == "my card is 4000000000001111"
    assert bob.recv(PATIENCE) == "hello"
    bob.send("hi")
    assert ann.recv(PATIENCE) == "hi"
    server.stop()


def test_the_room_has_everything_on_record(served: Callable[[str], Served]) -> None:
    server = served("room")
    ann, bob = server.meet(), server.meet()
    ann.send("hello")
    assert bob.recv(PATIENCE) == "hello"
    links: dict[str, str] = {}
    records = []
    for line in server.stop():
        if line.startswith("{"):
            records.append(record := json.loads(line))
            assert record["previous"] == links.get(record["connection"], "")
            links[record["connection"]] = hashlib.sha256(line.encode()).hexdigest()
    assert len(links) == 2
    assert [each["text"] for each in records if each.get("text")] == ["hello"] * 2
    assert [each["code"] for each in records if each["type"] == "end"] == [1000] * 2


def test_a_trial_of_the_room_is_the_same_each_time(served: Callable[[str], Served]) -> None:
    server = served("room")

    def heard() -> tuple[list[str | bytes], int | None]:
        """Give what a member hears of what another says, and how that ends."""
        member, speaker = server.meet("/trial?seed=200"), server.meet()
        for number in range(4):
            speaker.send(str(number))
        came: list[str | bytes] = []
        with pytest.raises(ConnectionClosed):  # noqa: PT012 - it ends the loop
            while True:
                came.append(member.recv(PATIENCE))
        return came, member.close_code

    assert [heard(), heard()] == [(["0", "2"], 1012)] * 2
    server.stop()


def test_no_interceptor_has_forty_lines() -> None:
    lengths = {
        path.name: len(path.read_text(encoding="utf-8").splitlines())
        for path in FOLDER.glob("*.py")
    }
    assert len(lengths) >= 9
    assert {name: length for name, length in lengths.items() if length >= 40} == {}
