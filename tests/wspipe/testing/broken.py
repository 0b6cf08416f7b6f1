"""Middlewares with the mistakes that people make; most have a twin that does it right."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from wspipe import ConnectionRejected, WebSocketDisconnect

if TYPE_CHECKING:
    from wspipe import ASGIConnection, Event, Receive, Send


class NumbersOnSelf:
    """Numbers the messages, and keeps the number on the object that all connections share."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def numbered_send(event: Event) -> None:
            if event["type"] == "websocket.send" and event.get("text") is not None:
                self.number += 1
                event = {**event, "text": f"{self.number} {event['text']}"}
            await send(event)

        return receive, numbered_send


class Numbers:
    """Numbers the messages of each connection."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        number = 0

        async def numbered_send(event: Event) -> None:
            nonlocal number
            if event["type"] == "websocket.send" and event.get("text") is not None:
                number += 1
                event = {**event, "text": f"{number} {event['text']}"}
            await send(event)

        return receive, numbered_send


class SwallowsDisconnect:
    """Skips what is no message, and the disconnect with it."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def messages_only() -> Event:
            while True:
                event = await receive()
                if event["type"] in {"websocket.connect", "websocket.receive"}:
                    return event

        return messages_only, send


class SkipsEmptyMessages:
    """Skips messages, and only those."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def receive_some() -> Event:
            while True:
                event = await receive()
                if event["type"] != "websocket.receive" or event.get("text"):
                    return event

        return receive_some, send


class SaysGoodbye:
    """Sends a last message after the close."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def polite_send(event: Event) -> None:
            await send(event)
            if event["type"] == "websocket.close":
                await send({"type": "websocket.send", "text": "bye"})

        return receive, polite_send


class SaysGoodbyeInTime:
    """Sends a last message before the close, where there was an accept."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        accepted = False

        async def polite_send(event: Event) -> None:
            nonlocal accepted
            if event["type"] == "websocket.close" and accepted:
                await send({"type": "websocket.send", "text": "bye"})
            await send(event)
            accepted = accepted or event["type"] == "websocket.accept"

        return receive, polite_send


class LeaksSlot:
    """Lets few receive at a time, and gives no slot back where that is cancelled."""

    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(4)

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def receive_in_slot() -> Event:
            await self.slots.acquire()
            event = await receive()
            self.slots.release()
            return event

        return receive_in_slot, send


class GivesSlotBack(LeaksSlot):
    """Gives the slot back in any case."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def receive_in_slot() -> Event:
            async with self.slots:
                return await receive()

        return receive_in_slot, send


class LeaksLock:
    """Sends under a lock, which stays taken where the send fails."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def locked_send(event: Event) -> None:
            await self.lock.acquire()
            try:
                await send(event)
            except asyncio.CancelledError:
                self.lock.release()
                raise
            self.lock.release()

        return receive, locked_send


class ReleasesLock(LeaksLock):
    """Sends under a lock."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def locked_send(event: Event) -> None:
            async with self.lock:
                await send(event)

        return receive, locked_send


class AcceptsToo:
    """Accepts as the client connects, and lets the application accept once more."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def accepting_receive() -> Event:
            event = await receive()
            if event["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            return event

        return accepting_receive, send


class AcceptsFirst:
    """Accepts in the place of the application."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        accepted = answered = False

        async def accepting_receive() -> Event:
            nonlocal accepted
            event = await receive()
            if event["type"] == "websocket.connect" and not answered:
                accepted = True
                await send({"type": "websocket.accept"})
            return event

        async def send_rest(event: Event) -> None:
            nonlocal answered
            kind = event["type"]
            if accepted and kind == "websocket.http.response.start":
                event = {"type": "websocket.close"}
            elif accepted and kind in {"websocket.accept", "websocket.http.response.body"}:
                return
            answered = True
            await send(event)

        return accepting_receive, send_rest


class DropsClose:
    """Lets the accept and messages pass, and forgets that there is a close."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def send_some(event: Event) -> None:
            if event["type"] != "websocket.close":
                await send(event)

        return receive, send_some


class DelaysAccept:
    """Sends the accept with the first message."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        kept: list[Event] = []

        async def send_later(event: Event) -> None:
            if event["type"] == "websocket.accept":
                kept.append(event)
                return
            while kept:
                await send(kept.pop())
            await send(event)

        return receive, send_later


class NewestFirst:
    """Collects what is sent, and sends the newest first."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        kept: list[Event] = []

        async def flush() -> None:
            while kept:
                await send(kept.pop())

        async def send_later(event: Event) -> None:
            if event["type"] != "websocket.send":
                await flush()
                await send(event)
                return
            kept.append(event)
            if len(kept) == 2:
                await flush()

        return receive, send_later


class OldestFirst:
    """Collects what is sent, and sends the oldest first; at the end too."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        kept: deque[Event] = deque()

        async def flush() -> None:
            while kept:
                await send(kept.popleft())

        async def send_later(event: Event) -> None:
            if event["type"] != "websocket.send":
                await flush()
                await send(event)
                return
            kept.append(event)
            if len(kept) == 2:
                await flush()

        async def flush_at_end() -> None:
            with suppress(OSError):
                await flush()

        connection.exit_stack.push_async_callback(flush_at_end)
        return receive, send_later


class CurrentOnSelf:
    """Keeps the event on the shared object while it waits."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def slow_send(event: Event) -> None:
            self.current = event
            await asyncio.sleep(0.1)
            await send(self.current)

        return receive, slow_send


class CurrentOfConnection:
    """Keeps the event of a connection while it waits, as if there were one send at a time."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        current: Event = {}

        async def slow_send(event: Event) -> None:
            nonlocal current
            current = event
            await asyncio.sleep(0.1)
            await send(current)

        return receive, slow_send


class Slow:
    """Waits before each send."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def slow_send(event: Event) -> None:
            await asyncio.sleep(0.1)
            await send(event)

        return receive, slow_send


class LeavesTask:
    """Starts a task for each connection, and does not end it."""

    async def watch(self) -> None:
        while True:  # noqa: ASYNC110 - it is to go on for ever
            await asyncio.sleep(20)

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        self.task = asyncio.get_running_loop().create_task(self.watch())
        return receive, send


class EndsTask(LeavesTask):
    """Starts a task for each connection, and ends it."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        task = asyncio.get_running_loop().create_task(self.watch())
        connection.exit_stack.callback(task.cancel)
        return receive, send


class TaskFails:
    """Starts a task that fails, which nobody notices."""

    async def fail(self) -> None:
        raise LookupError("nobody listens")

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        self.task = asyncio.get_running_loop().create_task(self.fail())
        return receive, send


class PingsAfterEnd:
    """Sends after a while, whether the connection is open or not."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def ping() -> None:
            await asyncio.sleep(30)
            await send({"type": "websocket.send", "text": "ping"})

        async def pinged_send(event: Event) -> None:
            await send(event)
            if event["type"] == "websocket.accept":
                self.task = asyncio.create_task(ping())

        return receive, pinged_send


class RemembersAll:
    """Keeps all messages."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        kept: list[Any] = []

        async def remembering_receive() -> Event:
            event = await receive()
            kept.append(event)
            return event

        return remembering_receive, send


class RemembersLast:
    """Keeps the last messages."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        kept: deque[Any] = deque(maxlen=20)

        async def remembering_receive() -> Event:
            event = await receive()
            kept.append(event)
            return event

        return remembering_receive, send


class RemembersVisitors:
    """Keeps the names of the last connections, which are more than most trials have."""

    def __init__(self) -> None:
        self._seen: deque[str] = deque(maxlen=300)

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        self._seen.append(connection.id)
        return receive, send


class CountsEachReply:
    """Notes the size of each message that goes out."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        sizes: list[int] = []

        async def measured_send(event: Event) -> None:
            sizes.append(len(event))
            await send(event)

        return receive, measured_send


class ReturnsNone:
    """Means to drop a binary message by giving nothing."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def text_only() -> Event | None:
            event = await receive()
            if event["type"] == "websocket.receive" and event.get("bytes") is not None:
                return None
            return event

        return text_only, send  # type: ignore[return-value]


class SendsBoth:
    """Adds the other form of a message, and leaves the first."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def encoding_send(event: Event) -> None:
            if event["type"] == "websocket.send" and event.get("text") is not None:
                event["bytes"] = event["text"].encode()
            await send(event)

        return receive, encoding_send


class SendsBytes:
    """Makes binary messages of all."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def encoding_send(event: Event) -> None:
            if event["type"] == "websocket.send" and event.get("text") is not None:
                event = {"type": "websocket.send", "bytes": event["text"].encode()}
            await send(event)

        return receive, encoding_send


class Closes:
    """Closes at the second message, with some code."""

    code = 1008

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        count = 0

        async def counting_receive() -> Event:
            nonlocal count
            event = await receive()
            if event["type"] != "websocket.receive":
                return event
            count += 1
            if count > 1:
                await connection.close(self.code, "that is enough", by=self)
                return await receive()
            return event

        return counting_receive, send


class ClosesWithout(Closes):
    """Closes with a code that stands for no code, and may not be sent (RFC 6455 section 7.4.1)."""

    code = 1005


class Registry:
    """Keeps each connection by itself, for ever."""

    def __init__(self) -> None:
        self.open: dict[ASGIConnection, str] = {}

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        self.open[connection] = connection.user
        return receive, send


class Journal:
    """Notes something of each connection, for ever."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        self.seen[connection.id] = "seen"
        return receive, send


class TidyJournal(Journal):
    """Notes it until the connection ends."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        super().__call__(connection, receive, send)
        connection.exit_stack.callback(self.seen.pop, connection.id)
        return receive, send


class TidyRegistry(Registry):
    """Keeps each connection until it ends."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        self.open[connection] = connection.user
        connection.exit_stack.callback(self.open.pop, connection)
        return receive, send


class LosesInHand:
    """Waits with a message in hand, which is gone where the receive is cancelled."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def slow_receive() -> Event:
            event = await receive()
            await anyio.sleep(1)
            return event

        return slow_receive, send


class KeepsInHand:
    """Waits with a message in hand, and keeps it where the receive is cancelled."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        kept: list[Event] = []

        async def slow_receive() -> Event:
            if not kept:
                kept.append(await receive())
            await anyio.sleep(1)
            return kept.pop()

        return slow_receive, send


class Doubles:
    """Sends a message again where no answer came at once."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def eager_send(event: Event) -> None:
            await send(event)
            if event["type"] == "websocket.send" and event.get("bytes") is not None:
                await send(event)

        return receive, eager_send


class Greets:
    """Sends a greeting as the client connects, before there is an accept."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def greeting_receive() -> Event:
            event = await receive()
            if event["type"] == "websocket.connect":
                await send({"type": "websocket.send", "text": "hello"})
            return event

        return greeting_receive, send


class GreetsAfterAccept:
    """Sends a greeting after the accept."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def greeting_send(event: Event) -> None:
            await send(event)
            if event["type"] == "websocket.accept":
                await send({"type": "websocket.send", "text": "hello"})

        return receive, greeting_send


class SwallowsCancel:
    """Takes a cancellation for a failed receive, and tries again."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def stubborn_receive() -> Event:
            while True:
                try:
                    return await receive()
                except asyncio.CancelledError:
                    pass

        return stubborn_receive, send


class InventsDisconnect:
    """Takes a silence of a while for the end."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def impatient_receive() -> Event:
            with anyio.move_on_after(10):
                return await receive()
            return {"type": "websocket.disconnect", "code": 1006}

        return impatient_receive, send


class ClosesTheSilent:
    """Closes after a silence of a while."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        async def impatient_receive() -> Event:
            with anyio.move_on_after(10):
                return await receive()
            await connection.close(1001, "silence", by=self)
            return await receive()

        return impatient_receive, send


class Shouts:
    """Takes every message for text."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def shouting_send(event: Event) -> None:
            if event["type"] == "websocket.send":
                event = {**event, "text": event["text"].upper()}
            await send(event)

        return receive, shouting_send


class ReadsCode:
    """Takes for granted what ASGI lets an application leave out."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def reading_send(event: Event) -> None:
            if event["type"] == "websocket.close":
                self.last_code = event["code"]
            await send(event)

        return receive, reading_send


class TakesTurns:
    """Waits for a turn that nobody gives back."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        turn = asyncio.Semaphore(2)

        async def send_in_turn(event: Event) -> None:
            await turn.acquire()
            await send(event)

        return receive, send_in_turn


class Polls:
    """Goes round until something is over that is never over."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        busy = False

        async def send_when_idle(event: Event) -> None:
            nonlocal busy
            while busy:  # noqa: ASYNC110 - the mistake
                await asyncio.sleep(0)
            busy = True
            await send(event)

        return receive, send_when_idle


class FailsAtEnd:
    """Says goodbye at the end, whoever is still there."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        async def say_goodbye() -> None:
            if connection.handshake_status == 101 and connection.close_code is None:
                await send({"type": "websocket.send", "text": "bye"})

        connection.exit_stack.push_async_callback(say_goodbye)
        return receive, send


class Prefetches:
    """Receives in a task of its own, and forgets that where it is cancelled."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def receive_in_task() -> Event:
            task = asyncio.create_task(receive())  # type: ignore[arg-type]
            return await asyncio.shield(task)

        return receive_in_task, send


class DropsBinary:
    """Drops binary messages of the client."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def receive_text() -> Event:
            while True:
                event = await receive()
                if event["type"] != "websocket.receive" or event.get("bytes") is None:
                    return event

        return receive_text, send


class DropsReplies:
    """Drops every second message of the application, and changes the others."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        count = 0

        async def send_some(event: Event) -> None:
            nonlocal count
            if event["type"] == "websocket.send":
                count += 1
                event = {"type": "websocket.send", "text": "something"}
            if event["type"] != "websocket.send" or count % 2:
                await send(event)

        return receive, send_some


class StopsAfterMany:
    """Has a window of a hundred messages, which nobody moves."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        window = asyncio.Semaphore(100)

        async def send_in_window(event: Event) -> None:
            await window.acquire()
            await send(event)

        return receive, send_in_window


class IgnoresCancelledSend:
    """Takes a send that is cancelled for one that is done."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def stubborn_send(event: Event) -> None:
            with suppress(asyncio.CancelledError):
                await send(event)

        return receive, stubborn_send


class Admits(Slow):
    """Takes its time to let somebody in, and does not let everybody in."""

    async def admit(self, connection: ASGIConnection) -> None:
        await asyncio.sleep(1)
        if connection.user == "bob":
            raise ConnectionRejected(401)


class OwnsResources:
    """Has a task for all connections, from `startup` to `shutdown`."""

    async def startup(self) -> None:
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        self.task = asyncio.create_task(self.work())

    async def work(self) -> None:
        while True:
            await self.queue.get()

    async def shutdown(self) -> None:
        self.task.cancel()

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def noting_send(event: Event) -> None:
            self.queue.put_nowait(event)
            await send(event)

        return receive, noting_send


class ReadsAhead:
    """Reads in a task, and hands on what it read, save for the disconnect."""

    keeps_disconnect = True

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        queue: asyncio.Queue[Event | Exception] = asyncio.Queue()

        async def read() -> None:
            event: Event = {"type": ""}
            while event["type"] != "websocket.disconnect":
                try:
                    event = await receive()
                except Exception as error:  # noqa: BLE001 - the application is to have it
                    queue.put_nowait(error)
                    return
                if event["type"] != "websocket.disconnect" or not self.keeps_disconnect:
                    queue.put_nowait(event)

        async def receive_read() -> Event:
            event = await queue.get()
            if isinstance(event, Exception):
                raise event
            return event

        task = asyncio.create_task(read())
        connection.exit_stack.callback(task.cancel)
        return receive_read, send


class ReadsAheadToTheEnd(ReadsAhead):
    """Reads in a task, and hands on all that it read."""

    keeps_disconnect = False


class FailsOnAccept:
    """Fails in what it does when the handshake is answered."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        def note(event: Event) -> None:
            raise LookupError(event["type"])

        connection.on_handshake(note)
        return receive, send


class PollsTheOthers:
    """Waits until no other connection is there, which may be never."""

    def __init__(self) -> None:
        self.users: set[str] = set()

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        self.users.add(connection.user)

        async def send_alone(event: Event) -> None:
            while self.users > {connection.user}:  # noqa: ASYNC110 - the mistake
                await asyncio.sleep(0)
            await send(event)

        return receive, send_alone


class FailsToConnect:
    """Does not return what it should."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> Any:
        return receive, send, None


class RefusesTwo:
    """Takes for a mistake that two are sending."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        busy = False

        async def send_alone(event: Event) -> None:
            nonlocal busy
            if busy:
                raise RuntimeError("another send is under way")
            busy = True
            try:
                await send(event)
            finally:
                busy = False

        return receive, send_alone


class StaysOpen:
    """Lets nobody close who has accepted."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        accepted = False

        async def send_some(event: Event) -> None:
            nonlocal accepted
            if event["type"] == "websocket.accept":
                accepted = True
            if event["type"] != "websocket.close" or not accepted:
                await send(event)

        return receive, send_some


class DropsAccept:
    """Lets everything pass but the accept and messages."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def send_some(event: Event) -> None:
            if event["type"] not in {"websocket.accept", "websocket.send"}:
                await send(event)

        return receive, send_some


class Warns:
    """Logs to the engine's logger."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        logging.getLogger("wspipe").warning("somebody connects")
        return receive, send


class SwallowsLoss:
    """Takes no notice of a send that fails."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def careless_send(event: Event) -> None:
            with suppress(Exception):
                await send(event)

        return receive, careless_send


class CountsLosses:
    """Counts the sends that fail, and lets the application know."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        failed = 0

        async def counted_send(event: Event) -> None:
            nonlocal failed
            try:
                await send(event)
            except OSError:
                failed += 1
                raise

        return receive, counted_send


class Acknowledges:
    """Answers each message, whatever the application has done meanwhile."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def acknowledged_receive() -> Event:
            event = await receive()
            if event["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": "ack"})
            return event

        return acknowledged_receive, send


class AcknowledgesWhileItMay:
    """Answers each message, if somebody is there to hear it."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def acknowledged_receive() -> Event:
            event = await receive()
            if event["type"] == "websocket.receive":
                with suppress(OSError, WebSocketDisconnect):
                    await send({"type": "websocket.send", "text": "ack"})
            return event

        return acknowledged_receive, send


class ClosesTwice:
    """Sends a second close, and takes no notice of what comes of it."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def insistent_send(event: Event) -> None:
            await send(event)
            if event["type"] == "websocket.close":
                with suppress(WebSocketDisconnect):
                    await send(event)

        return receive, insistent_send
