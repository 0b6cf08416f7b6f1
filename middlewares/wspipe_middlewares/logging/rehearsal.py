"""A logger whose lines are rendered and thrown away, to measure what they cost."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from structlog.typing import EventDict, Processor


def rehearsing(logger: Any) -> Any:
    """Give a logger that does what another does, but for writing and exporting.

    Args:
        logger: A structlog logger, or one that is called alike.
    """
    bound = logger.bind() if hasattr(logger, "bind") else logger
    if not isinstance(bound, structlog.BoundLoggerBase):
        # Of a kind that nothing is known of: at least it is rendered.
        rendering = _Rendering(structlog.get_config()["processors"], None)
        kind = structlog.make_filtering_bound_logger(0)
        return structlog.wrap_logger(bound, [rendering], kind).bind()
    processors = bound._processors  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    sink = bound._logger  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return type(bound)(sink, [_Rendering(processors, sink)], structlog.get_context(bound))


class _Rendering:
    """A processor for structlog that does what others do, and then drops the line."""

    def __init__(self, processors: Iterable[Processor], sink: object) -> None:
        export = sys.modules.get("wspipe_middlewares.logging.export")
        exporting = getattr(export, "export_line", None)
        self.processors = [each for each in processors if each is not exporting]
        self.formatting = _formatting(sink) if isinstance(sink, logging.Logger) else None

    def __call__(self, logger: Any, method: str, line: EventDict) -> NoReturn:
        # What fails here fails in silence: to say so would be an effect.
        with suppress(Exception):
            rendered: Any = line
            for process in self.processors:
                rendered = process(logger, method, rendered)
            if self.formatting is not None:
                take = getattr(self.formatting, method)
                match rendered:
                    case (args, options):  # `wrap_for_formatter` gives such
                        take(*args, **options)
                    case {}:
                        take(**rendered)
                    case _:
                        take(rendered)
        raise structlog.DropEvent


class _Formatting(logging.Handler):
    """Formats lines as other handlers would, and writes nothing."""

    def __init__(self, handlers: list[logging.Handler]) -> None:
        super().__init__()
        self.handlers = handlers

    def emit(self, record: logging.LogRecord) -> None:
        for handler in self.handlers:
            if record.levelno >= handler.level and handler.filter(record):
                handler.format(record)


def _formatting(logger: logging.Logger) -> logging.Logger:
    """Give a logger apart from all others, which does all that one does but for the writing."""
    handlers: list[logging.Handler] = []
    ancestor: logging.Logger | None = logger
    while ancestor is not None:
        handlers += ancestor.handlers
        ancestor = ancestor.parent if ancestor.propagate else None
    apart = logging.Logger(logger.name, logger.getEffectiveLevel())  # noqa: LOG001 - no other sees it
    apart.filters = logger.filters[:]
    apart.addHandler(_Formatting(handlers))
    return apart
