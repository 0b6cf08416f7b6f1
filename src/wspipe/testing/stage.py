"""Several scenes played on one middleware object, and what is left of them afterwards."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wspipe.pipeline import Pipeline
from wspipe.testing.loop import NeverEnds, place
from wspipe.testing.scene import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from wspipe.testing.clock import FakeClock
    from wspipe.testing.scene import Scene
    from wspipe.types import Middleware

    Act: TypeAlias = Sequence[Scene]

_TURNS: Final = 10
"""How many turns of the event loop a task has to come to its end."""

_FAILED: Final = ("an exit callback failed", "a handshake callback failed")


@dataclass
class Aftermath:
    """What is left when a middleware has been through some scenes.

    Attributes:
        tasks: Where the tasks wait that are left.
        failures: What tasks raised that nobody looked after.
        held: Whether something holds a connection.
        stuck: Why it could not be played to the end.
    """

    tasks: list[str] = field(default_factory=list[str])
    failures: list[str] = field(default_factory=list[str])
    held: bool = False
    stuck: str | None = None


def perform(clock: FakeClock, make: Callable[[], Middleware], *acts: Act) -> Aftermath:
    """Play scenes on a new object: those of an act at the same time, one act an hour after another.

    Args:
        clock: Runs them.
        make: Makes the object.
        *acts: The scenes.
    """
    aftermath = Aftermath()
    middleware = make()
    with _noting_failures(aftermath.failures):
        try:
            clock.run(_perform, middleware, acts, aftermath)
        except NeverEnds as error:
            aftermath.stuck = error.detail
    gc.collect()
    aftermath.held = any(scene.connection() is not None for act in acts for scene in act)
    return aftermath


async def _perform(middleware: Middleware, acts: Sequence[Act], aftermath: Aftermath) -> None:
    def failed(_: object, context: dict[str, Any]) -> None:
        error = context.get("exception", context["message"])
        aftermath.failures.append(f"a task that it started failed: {error!r}")

    asyncio.get_running_loop().set_exception_handler(failed)
    pipeline = Pipeline(middleware)
    await pipeline.startup()
    for number, act in enumerate(acts):
        if number:
            await asyncio.sleep(PATIENCE)
        await asyncio.gather(*(scene.play(pipeline) for scene in act))
    await pipeline.shutdown()
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    aftermath.tasks = sorted(place(task) for task in left)
    await asyncio.sleep(PATIENCE)  # for what they still send


@contextmanager
def _noting_failures(failures: list[str]) -> Generator[None]:
    """Note what the engine would log, of callbacks that failed, instead of logging it."""
    logger = logging.getLogger("wspipe")
    note = _Note(failures)
    logger.addFilter(note)
    try:
        yield
    finally:
        logger.removeFilter(note)


class _Note(logging.Filter):
    def __init__(self, failures: list[str]) -> None:
        super().__init__()
        self._failures = failures

    def filter(self, record: logging.LogRecord) -> bool:
        failed = record.msg in _FAILED and record.exc_info
        if failed:
            self._failures.append(f"{record.msg}: {failed[1]!r}")
        return not failed
