"""Importing the application that a command is told."""

from __future__ import annotations

import inspect
import sys
from traceback import extract_tb
from typing import Any

from uvicorn.importer import ImportFromStringError, import_from_string

from wspipe.cli.output import fail
from wspipe.config.references import told


def imported(name: str, *, factory: bool = False) -> Any:
    """Import an application; where it cannot be had, say why, and exit.

    Args:
        name: The application, as `module:app`.
        factory: Whether that is a function that makes the application.
    """
    try:
        made: Any = import_from_string(name)
        if factory:
            made = made()
    except ImportFromStringError as error:
        looked = f" It was looked for in {sys.path[0]} first, which --app-dir sets."
        fail(f"{error}{looked if str(error).startswith('Could not import') else ''}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the code is the user's
        fail(f"{name} cannot be had: {told(error)}{_where(error)}")
    if not callable(made):
        fail(f"{name} is {made!r}, which is no ASGI application")
    if not _takes_a_connection(made):
        advice = "" if factory else "; for a function that makes the application, give --factory"
        fail(f"{name} does not take scope, receive and send{advice}")
    return made


def _takes_a_connection(app: Any) -> bool:
    try:
        inspect.signature(app, follow_wrapped=False).bind(None, None, None)
    except TypeError:
        return False
    except ValueError:
        pass  # it is compiled, and nothing is known
    return True


def _where(error: BaseException) -> str:
    """Tell the line at which it was raised, which is what a traceback ends with."""
    *_, last = extract_tb(error.__traceback__)
    if last.filename == __file__ or last.filename.startswith("<frozen"):
        return ""  # no line of the user's: Python has read none, or there is none at fault
    return f" (at {last.filename}:{last.lineno})"
