"""`"module:attribute"`: how a file names what only Python can say."""

from __future__ import annotations

import re
import sys
from functools import reduce
from importlib import import_module
from typing import Any, Final

from wspipe.config.problems import nearest_to, shown

REFERENCE: Final = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
"""What a reference looks like, in the words that regular expressions and JSON Schema share."""

_REFERENCE: Final = re.compile(REFERENCE)


class UnresolvedReference(Exception):
    """A reference leads nowhere; the message says at which step, and what would be right."""


def is_reference(text: str) -> bool:
    """Tell whether a text looks like `"module:attribute"`."""
    return _REFERENCE.fullmatch(text) is not None


def resolve(reference: str) -> Any:
    """Import what a reference names.

    Args:
        reference: Such as `"chat.limits:by_token"`.

    Raises:
        UnresolvedReference: There is no such module or attribute, or the module does not import.
    """
    module, _, attribute = reference.partition(":")
    try:
        target: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise _failed(reference, f"importing {module}", error) from error
        raise UnresolvedReference(
            f"{shown(reference)} cannot be found: there is no module {error.name} "
            f"where Python looks for them, which begins with {sys.path[0] or '.'}"
        ) from None
    # An import runs the module, which may do anything, such as to exit.
    except (Exception, SystemExit) as error:
        raise _failed(reference, f"importing {module}", error) from error
    try:
        return reduce(getattr, attribute.split("."), target)
    except AttributeError:
        nearest = nearest_to(attribute, dir(target))
        advice = f"; did you mean {shown(f'{module}:{nearest}')}?" if nearest else ""
        raise UnresolvedReference(
            f"{shown(reference)} cannot be found: module {module} has no {attribute}{advice}"
        ) from None
    except Exception as error:
        raise _failed(reference, f"reading {attribute}", error) from error


def _failed(reference: str, what: str, error: BaseException) -> UnresolvedReference:
    return UnresolvedReference(
        f"{shown(reference)} cannot be had: {what} failed with {told(error)}"
    )


def told(error: BaseException) -> str:
    """Tell an error in one line: its kind and its message."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
