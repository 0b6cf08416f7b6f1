"""What a middleware owes to every conversation."""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING, Final, TypeAlias

from wspipe.exceptions import ProtocolError, WSPipeException
from wspipe.state_machine import (
    ACCEPTED,
    CLOSED,
    DISCONNECT,
    DISCONNECTED,
    REJECTED,
    UNANSWERED,
)
from wspipe.testing.application import ScriptedFailure
from wspipe.testing.delivery import find_loss, find_reordering
from wspipe.testing.rules import Finding, Standard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wspipe.testing.application import Operation
    from wspipe.testing.scene import Scene
    from wspipe.testing.stage import Aftermath


def judge(scene: Scene, standard: Standard) -> Finding | None:
    """Find the first rule that a scene breaks.

    Args:
        scene: It has been played.
        standard: What is expected.
    """
    legal = scene.conversation.illegal is None
    for rule in _OF_ALL if legal else _OF_ILLEGAL:
        for finding in rule(scene, standard):
            return finding
    return None


def judge_end(aftermath: Aftermath) -> Finding | None:
    """Find what is left that should not be.

    Args:
        aftermath: Of some scenes.
    """
    if aftermath.stuck:
        return Finding("hang", f"it goes round and round: {aftermath.stuck}")
    if aftermath.failures:
        return Finding("errors", aftermath.failures[0])
    if aftermath.tasks:
        return Finding("release", f"a task is left when all is over: {aftermath.tasks[0]}")
    if aftermath.held:
        return Finding("release", "the connection has ended, and something still holds it")
    return None


def name(scene: Scene, operation: Operation) -> str:
    """Name an operation by its step."""
    return f"step {operation.index + 1}, {scene.conversation.steps[operation.index]}"


def _legality(scene: Scene, _: Standard) -> Iterator[Finding]:
    for violation in scene.violations:
        yield Finding("legality", _blame(violation))
    for operation in scene.application.operations:
        raised = operation.raised
        if raised is not None and raised.is_a(ProtocolError):
            yield Finding("legality", f"{name(scene, operation)}: {_blame(raised.text)}")
    for event in scene.server.late:
        yield Finding("legality", f"it sends {event['type']!r} after the application has ended")


def _blame(refusal: str) -> str:
    """Put a refusal of the wires, which know only two sides, as that of the middleware's event."""
    return refusal.replace("the application sent", "it sent the server", 1).replace(
        "the server sent", "it gave the application", 1
    )


def _errors(scene: Scene, standard: Standard) -> Iterator[Finding]:
    expected = (WSPipeException, OSError, *standard.raises)
    kinds: list[type[BaseException]] = [ScriptedFailure, *standard.raises]
    if scene.was_cancelled or scene.cancellation is not None or scene.hung is not None:
        kinds.append(CancelledError)
    for operation in scene.application.operations:
        raised = operation.raised
        if raised is None:
            continue
        if not raised.is_a(*expected) and raised.kind not in kinds:
            yield Finding("errors", f"{name(scene, operation)}: it raises {raised}")
        kinds.append(raised.kind)
    if scene.raised is not None and not scene.raised.is_a(*kinds):
        yield Finding("errors", f"outside of receive and send it raises {scene.raised}")


def _disconnect(scene: Scene, _: Standard) -> Iterator[Finding]:
    server = scene.server
    for operation in scene.application.operations:
        where = name(scene, operation)
        told = operation.event is not None and operation.event["type"] == DISCONNECT
        if told and not operation.at_end and not scene.evicted:
            yield Finding("disconnect", f"{where}: it gets a disconnect, and nobody has left")
        if operation.kind == "send" or operation.raised is None or not server.disconnected:
            continue
        if "receive() after websocket.disconnect" in operation.raised.text:
            yield Finding("disconnect", f"{where}: the middleware took the disconnect for itself")
        elif scene.hung is not None and operation is scene.application.operations[-1]:
            yield Finding("disconnect", f"{where}: the client has left, and it waits for ever")
    if scene.losses > 1 and not any(map(_tells_of_end, scene.application.operations)):
        yield Finding("disconnect", "the client has left, and the application may send on and on")


def _tells_of_end(operation: Operation) -> bool:
    event = operation.event
    return operation.raised is not None or (event is not None and event["type"] == DISCONNECT)


def _answers(scene: Scene, _: Standard) -> Iterator[Finding]:
    gone = scene.server.left or scene.received == DISCONNECTED or scene.evicted
    if gone or scene.was_cancelled:
        return
    answer, sent = scene.application.answer, scene.sent
    if answer in {ACCEPTED, CLOSED} and sent == UNANSWERED:
        yield Finding("answers", "the application accepted, and the server does not know")
    if answer == CLOSED and sent == ACCEPTED:
        yield Finding("answers", "the application closed, and the server does not know")
    if answer == REJECTED and sent not in {CLOSED, REJECTED}:
        yield Finding("answers", "the application denied or closed, and the server does not know")


def _cancellation(scene: Scene, _: Standard) -> Iterator[Finding]:
    if scene.was_cancelled and scene.raised is None:
        yield Finding("cancellation", "the application is cancelled, and goes on all the same")


def _hang(scene: Scene, _: Standard) -> Iterator[Finding]:
    if scene.hung is None:
        return
    operations = scene.application.operations
    step = name(scene, operations[-1]) if operations else "before the first step"
    where = scene.hung
    yield Finding("hang", f"{step}: it waits for ever{where and ', in '}{where}")


_Rule: TypeAlias = "Callable[[Scene, Standard], Iterator[Finding]]"

_OF_ALL: Final[tuple[_Rule, ...]] = (
    _legality,
    _disconnect,
    _errors,
    _answers,
    _hang,
    _cancellation,
    find_reordering,
    find_loss,
)

# There, the wire has refused something, and what follows from that is nobody's fault.
_OF_ILLEGAL: Final[tuple[_Rule, ...]] = (_hang,)
