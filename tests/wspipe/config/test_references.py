""" "module:attribute" leads to what it names, or says at which step it does not."""

from __future__ import annotations

import collections
import re
import sys
from typing import TYPE_CHECKING

import pytest

from wspipe.config.references import REFERENCE, UnresolvedReference, is_reference, resolve, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Write the module `named_here`."""
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda text: (tmp_path / "named_here.py").write_text(text) and None
    sys.modules.pop("named_here", None)


@pytest.mark.parametrize(
    ("text", "whether"),
    [
        ("a:b", True),
        ("a.b:c.d", True),
        ("_a1:_b2", True),
        ("a", False),
        ("a:", False),
        (":a", False),
        ("a:b:c", False),
        ("1a:b", False),
        ("a b:c", False),
        ("redis://host", False),
        ("a:b\n", False),
        ("", False),
    ],
)
def test_what_looks_like_one(text: str, *, whether: bool) -> None:
    assert is_reference(text) is whether
    if "\n" not in text:
        assert bool(re.search(REFERENCE, text)) is whether


def test_it_leads_to_what_it_names() -> None:
    assert resolve("collections:OrderedDict") is collections.OrderedDict
    assert resolve("collections:OrderedDict.fromkeys") == collections.OrderedDict.fromkeys
    assert resolve("collections.abc:Mapping") is collections.abc.Mapping


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        (
            "collections:OrderdDict",
            (
                '"collections:OrderdDict" cannot be found: module collections has no OrderdDict; '
                'did you mean "collections:OrderedDict"?'
            ),
        ),
        ("collections:zzz", '"collections:zzz" cannot be found: module collections has no zzz'),
        (
            "no_such_thing:a",
            (
                '"no_such_thing:a" cannot be found: there is no module no_such_thing where Python '
                "looks for them, which begins with "
            ),
        ),
        ("collections.nope:a", '"collections.nope:a" cannot be found: there is no module '),
    ],
)
def test_it_leads_nowhere(reference: str, problem: str) -> None:
    with pytest.raises(UnresolvedReference) as caught:
        resolve(reference)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("raise ValueError('a\\n  b')", "ValueError: a b"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_the_module_does_not_import(text: str, why: str, module: Callable[[str], None]) -> None:
    module(text)
    with pytest.raises(UnresolvedReference) as caught:
        resolve("named_here:thing")
    assert str(caught.value) == (
        f'"named_here:thing" cannot be had: importing named_here failed with {why}'
    )
    assert isinstance(caught.value.__cause__, BaseException)


def test_the_attribute_cannot_be_read(module: Callable[[str], None]) -> None:
    module("def __getattr__(name):\n    if name == 'thing':\n        raise OSError('no')\n")
    with pytest.raises(UnresolvedReference) as caught:
        resolve("named_here:thing")
    assert str(caught.value) == (
        '"named_here:thing" cannot be had: reading thing failed with OSError: no'
    )


def test_an_error_is_told_in_one_line() -> None:
    assert told(ValueError("a\n   b")) == "ValueError: a b"
    assert told(KeyError()) == "KeyError"
