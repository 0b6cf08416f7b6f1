"""Every public object is documented: what it does, its parameters with units, what it raises."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docstring_parser
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = (
    "wspipe",
    "wspipe.config",
    "wspipe.testing",
    "wspipe_middlewares",
    "wspipe_middlewares.logging",
    "wspipe_middlewares.rate_limit",
    "wspipe_middlewares.rate_limit.conformance",
    "wspipe_middlewares.tracing",
)
OURS = ("wspipe", "wspipe_middlewares")
CONTRACT = ("admit", "review")
"""Optional parts of the contract of a middleware, whose parameters `Middleware` describes."""
UNIT = re.compile(r"[Ss]econds|share|[Tt]imes|rate|factor")


def is_ours(of: Any) -> bool:
    return (getattr(of, "__module__", None) or "").partition(".")[0] in OURS


def is_protocol(of: Any) -> bool:
    return bool(getattr(of, "_is_protocol", False))


def public_objects() -> Iterator[tuple[str, Any, Any]]:
    """Give each public class, function and method, with the class that it belongs to."""
    seen: set[int] = set()
    for module in map(importlib.import_module, MODULES):
        for name in module.__all__:
            of = getattr(module, name)
            if id(of) in seen or not (inspect.isclass(of) or inspect.isfunction(of)):
                continue
            seen.add(id(of))
            yield f"{module.__name__}.{name}", of, None
            if inspect.isclass(of):
                yield from members(f"{module.__name__}.{name}", of, seen)


def members(path: str, owner: type, seen: set[int]) -> Iterator[tuple[str, Any, Any]]:
    for name, raw in inspect.getmembers_static(owner):
        member = getattr(raw, "__func__", getattr(raw, "fget", getattr(raw, "func", raw)))
        if name.startswith("_") or not inspect.isfunction(member) or not is_ours(member):
            continue
        if id(member) not in seen:
            seen.add(id(member))
            yield f"{path}.{name}", member, owner


OBJECTS = {path: (of, owner) for path, of, owner in public_objects()}


def parameters_of(of: Any) -> dict[str, inspect.Parameter]:
    """Give the parameters that a caller chooses."""
    if is_protocol(of) or of.__name__ in CONTRACT:
        return {}
    makes = {"__init__", "__new__"} & vars(of).keys()
    if inspect.isclass(of) and not makes and "Args:" not in (of.__doc__ or ""):
        return {}
    parameters = inspect.signature(of).parameters
    return {
        name: each
        for name, each in parameters.items()
        if name not in {"self", "cls", "draw"} and not name.startswith("_")
    }


def inherits_its_text(of: Any, owner: Any) -> bool:
    """Tell whether a method does what a class above it documents."""
    above = owner.__mro__[1:] if owner is not None else ()
    return any(getattr(vars(base).get(of.__name__), "__doc__", None) for base in above)


@pytest.mark.parametrize("path", OBJECTS)
def test_it_says_what_it_does(path: str) -> None:
    of, _ = OBJECTS[path]
    documented = docstring_parser.parse(of.__doc__ or "")
    assert documented.short_description
    assert documented.short_description.endswith((".", ":"))


@pytest.mark.parametrize("path", OBJECTS)
def test_it_describes_each_parameter(path: str) -> None:
    of, owner = OBJECTS[path]
    given = parameters_of(of)
    text = inspect.cleandoc(of.__doc__ or "")
    if inspect.isclass(of) and inspect.isfunction(vars(of).get("__init__")):
        text += "\n\n" + inspect.cleandoc(of.__init__.__doc__ or "")
    params = docstring_parser.parse(text).params
    described = {
        name.strip("* ")
        for each in params
        for name in each.arg_name.split(",")
        if each.args[0] == "param" or name.strip() in given
    }
    if described or not inherits_its_text(of, owner):
        assert described - {"draw"} == given.keys()


@pytest.mark.parametrize("path", OBJECTS)
def test_it_tells_the_unit_of_each_float(path: str) -> None:
    of, _ = OBJECTS[path]
    described = {each.arg_name: each for each in docstring_parser.parse(of.__doc__ or "").params}
    for name, parameter in parameters_of(of).items():
        if "float" in str(parameter.annotation) and name in described:
            assert UNIT.search(described[name].description or ""), name


@pytest.mark.parametrize("path", OBJECTS)
def test_it_tells_what_it_raises(path: str) -> None:
    of, owner = OBJECTS[path]
    source = of
    if inspect.isclass(of):
        source = getattr(of, "__post_init__", vars(of).get("__init__"))
        if source is None or is_protocol(of):
            return
    if not Path(inspect.unwrap(source).__code__.co_filename).is_file():
        return  # it is not written by hand
    tree = ast.parse(textwrap.dedent(inspect.getsource(source)))
    raised = [
        ast.unparse(node.exc)
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and node.exc is not None
    ]
    text = (of.__doc__ or "") + (owner.__doc__ or "" if owner else "")
    if raised and not inherits_its_text(of, owner):
        assert "Raises:" in text, raised
