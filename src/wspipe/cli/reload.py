"""Taking a changed configuration while the server runs."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from anyio import create_task_group, open_signal_receiver, sleep

from wspipe.config import ConfigurationError
from wspipe.config.review import review

if TYPE_CHECKING:
    from pathlib import Path

    from wspipe.config import Config, ConfiguredMiddleware

SIGHUP: Final[signal.Signals | None] = getattr(signal, "SIGHUP", None)
"""The signal to reload, where the system has it."""

_LOOK: Final = 0.25
"""Seconds between two looks at the file."""


@dataclass
class Reloader:
    """Has an application take its configuration anew, on SIGHUP or when the file has changed.

    Args:
        served: The application.
        file: The file.
        watch: Whether to look for changes of the file.
        taken: What the file held when the application's configuration was read.
    """

    served: ConfiguredMiddleware
    file: Path
    watch: bool
    taken: bytes | None

    async def run(self) -> None:
        """Reload when it is asked for, until cancelled."""
        if content_of(self.file) != self.taken:
            await self.reload()  # it has changed while the application was imported
        async with create_task_group() as tasks:
            tasks.start_soon(self._on_signal)
            if self.watch:
                tasks.start_soon(self._on_change)

    async def reload(self) -> None:
        """Take the file for new connections; refuse it where something is wrong, and say so."""
        logger: Any = structlog.get_logger("wspipe")
        self.taken = content_of(self.file)
        try:
            config = await self.served.reload(self.file)
        except ConfigurationError as error:
            for problem in error.problems:
                logger.error("config.problem", problem=str(problem))  # noqa: TRY400
            logger.error(  # noqa: TRY400 - a traceback would tell the operator nothing
                "config.refused", problems=len(error.problems), in_force="the old one"
            )
        # Whatever the code does that the file names, the server goes on.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            told = self.served.config.told(error)  # a traceback might show a secret
            logger.error("config.refused", error=told, in_force="the old one")  # noqa: TRY400
        else:
            logger.info(
                "config.applied", pipelines=len(config.pipelines), routes=len(config.routes)
            )
            log_warnings(config)

    async def _on_signal(self) -> None:
        if SIGHUP is None:
            return
        try:
            with open_signal_receiver(SIGHUP) as signals:
                async for _ in signals:
                    await self.reload()
        finally:
            # As it was before: otherwise it would end a server that is just draining.
            signal.signal(SIGHUP, signal.SIG_IGN)

    async def _on_change(self) -> None:
        # A look sees what notifications may not: any link on the way that is turned round, and
        # file systems that are shared with other machines.
        before = self.taken
        while True:
            await sleep(_LOOK)
            content = content_of(self.file)
            # What differs from one look to the next may still be being written.
            if content == before != self.taken:
                await self.reload()
            before = content


def content_of(file: Path) -> bytes | None:
    """Read a file; `None` where that cannot be done.

    Args:
        file: The file.
    """
    try:
        return file.read_bytes()
    except OSError:
        return None


def log_warnings(config: Config) -> None:
    """Log what is legal in a configuration but probably not meant.

    Args:
        config: The configuration.
    """
    logger: Any = structlog.get_logger("wspipe")
    for problem in review(config):
        logger.warning("config.warning", problem=str(problem))
