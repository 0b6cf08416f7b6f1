"""What a middleware's docstring says of it and of its options."""

from __future__ import annotations

import inspect
from typing import Any

from docstring_parser import DocstringStyle, ParseError, parse


def summary_of(middleware: type[Any]) -> str:
    """Give the first sentence of a middleware's docstring.

    Args:
        middleware: The class.
    """
    return _line(parse(inspect.getdoc(middleware) or "").short_description)


def descriptions_of(middleware: type[Any]) -> dict[str, str]:
    """Give what a middleware's docstring says of each option, under `Args:`.

    Args:
        middleware: The class.
    """
    try:
        docstring = parse(inspect.getdoc(middleware) or "", DocstringStyle.GOOGLE)
    except ParseError:
        return {}  # a plugin may be documented as it likes
    return {each.arg_name: _line(each.description) for each in docstring.params}


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
