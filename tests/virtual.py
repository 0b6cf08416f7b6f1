"""Tests in virtual time, under both async libraries."""

from __future__ import annotations

import inspect
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import pytest

from wspipe.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def in_virtual_time(test: Callable[..., Awaitable[None]]) -> Any:
    """Run an async test on a `FakeClock`, under asyncio and under trio."""

    @wraps(test)
    def run(backend: Any, **arguments: Any) -> None:
        FakeClock(backend).run(partial(test, **arguments))

    signature = inspect.signature(test)
    backend = inspect.Parameter("backend", inspect.Parameter.KEYWORD_ONLY)
    parameters = [*signature.parameters.values(), backend]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return pytest.mark.parametrize("backend", ["asyncio", "trio"])(run)
