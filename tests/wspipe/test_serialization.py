"""JSON: what has a form in it, and which one."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import deque, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import orjson
import pydantic
import pytest

import wspipe
from wspipe import Address, default_serializer

SOURCES = Path(wspipe.__file__).parent


class Colour(Enum):
    RED = "red"
    MIXED = frozenset({"blue"})


@dataclass
class Point:
    x: int
    tags: set[str] = field(default_factory=set)


class User(pydantic.BaseModel):
    name: str
    joined: datetime | None = None
    home: Path = Path("/home")
    tags: set[str] = set()


class Numbers(pydantic.RootModel[list[int]]): ...


@pydantic.dataclasses.dataclass
class Checked:
    amount: Decimal


class Move(msgspec.Struct, tag="move", rename="camel"):
    from_square: str
    points: frozenset[int] = frozenset()


class Place(msgspec.Struct):
    path: Path
    owner: User
    address: Any = None
    by_number: dict[int, str] = {}


class OldModel:
    """What a model of pydantic 1 looks like from outside."""

    __fields_set__ = {"a"}  # noqa: RUF012 - as pydantic 1 has it

    def dict(self) -> dict[str, Any]:
        return {"a": {1}}


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - the untyped one counts too

VALUES = [
    # What orjson knows by itself.
    (None, None),
    ({"a": [1, 2.5, True, "é"]}, {"a": [1, 2.5, True, "é"]}),
    ((1, (2,)), [1, [2]]),
    (Colour.RED, "red"),
    (Point(1), {"x": 1, "tags": []}),
    (datetime(2024, 1, 2, 3, 4, 5, 6, UTC), "2024-01-02T03:04:05.000006+00:00"),
    (date(2024, 1, 2), "2024-01-02"),
    (time(3, 4, 5), "03:04:05"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    # What we add.
    ({1}, [1]),
    (frozenset({1}), [1]),
    (deque([1, 2], maxlen=5), [1, 2]),
    (Pair(1, {2}), [1, [2]]),
    (Address("127.0.0.1", 80), ["127.0.0.1", 80]),
    (Decimal("1.10"), "1.10"),
    (Decimal("1e400"), "1E+400"),
    (PurePosixPath("/a/b"), "/a/b"),
    (PureWindowsPath("c:/a"), "c:\\a"),
    (Path("a"), "a"),
    (ip_address("127.0.0.1"), "127.0.0.1"),
    (ip_address("::1"), "::1"),
    (ip_network("10.0.0.0/8"), "10.0.0.0/8"),
    (ip_network("fe80::/10"), "fe80::/10"),
    (ip_interface("10.0.0.1/8"), "10.0.0.1/8"),
    (ip_interface("fe80::1/10"), "fe80::1/10"),
    (Colour.MIXED, ["blue"]),
    (Point(1, {"a"}), {"x": 1, "tags": ["a"]}),
    (User(name="Ann"), {"name": "Ann", "joined": None, "home": "/home", "tags": []}),
    (Numbers([1, 2]), [1, 2]),
    (Checked(amount=Decimal("1.10")), {"amount": "1.10"}),
    (Move("e4"), {"type": "move", "fromSquare": "e4", "points": []}),
    (
        Place(Path("/x"), User(name="Bo"), ip_address("::1"), {1: "one"}),
        {
            "path": "/x",
            "owner": {"name": "Bo", "joined": None, "home": "/home", "tags": []},
            "address": "::1",
            "by_number": {"1": "one"},
        },
    ),
    (OldModel(), {"a": [1]}),
    # All of it inside of each other.
    (
        {"all": [{Decimal(1)}, deque([{"move": Move("e4")}]), (Path("a"), {Colour.RED})]},
        {
            "all": [
                ["1"],
                [{"move": {"type": "move", "fromSquare": "e4", "points": []}}],
                ["a", ["red"]],
            ]
        },
    ),
]


@pytest.mark.parametrize(("value", "form"), VALUES, ids=lambda value: type(value).__name__)
def test_a_value_and_its_json_form(value: Any, form: Any) -> None:
    assert orjson.loads(orjson.dumps(value, default_serializer)) == form


@pytest.mark.parametrize(
    "value",
    [object(), b"bytes", 1j, Fraction(1, 2), SimpleNamespace(), print, User, Move, Colour, type],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_what_has_no_json_form_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        default_serializer(value)
    with pytest.raises(orjson.JSONEncodeError):
        orjson.dumps([value], default_serializer)


def test_a_struct_that_holds_what_has_no_form_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        default_serializer(Place(Path("/"), User(name="Bo"), object()))


def test_importing_wspipe_imports_nothing_that_it_can_do_without() -> None:
    own = {"wspipe_middlewares", "wspipe.application_scope", "wspipe.interruption"}
    heavy = {"pydantic", "msgspec", "trio", "structlog", *own}
    code = f"import sys, wspipe, wspipe.testing; print(sorted({heavy!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.strip() == "[]"


def test_no_module_of_the_engine_imports_an_event_loop_or_a_middleware() -> None:
    forbidden = {"asyncio", "trio", "pydantic", "msgspec", "wspipe_middlewares"}
    # What ends a receive or the application, and is imported only where that is asked for.
    exempt = {"application_scope.py", "interruption.py"}
    modules = [path for path in SOURCES.glob("*.py") if path.name not in exempt]
    assert len(modules) > 10
    imported = {
        (path.name, name.partition(".")[0]) for path in modules for name in names_imported_by(path)
    }
    assert ("exit_stack.py", "anyio") in imported
    assert {(module, name) for module, name in imported if name in forbidden} == set()


def names_imported_by(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return names
