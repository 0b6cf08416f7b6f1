"""Sources of a configuration: which file is read, and what keeps one from being read."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from wspipe.config import ConfigurationError
from wspipe.config.document import Document, UnreadableSource

if TYPE_CHECKING:
    from pathlib import Path

HERE = 'default = "here"\n'
TABLE = '[tool.wspipe]\ndefault = "project"\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["wspipe.toml", "chat.toml", "chat"])
def test_a_toml_file(name: str, here: Path) -> None:
    (here / name).write_text(HERE)
    for source in (name, here / name):
        document = Document.read(source)
        assert document.data == {"default": "here"}
        assert document.name == str(source)
        assert document.position_of(("default",)) == (1, 1)


def test_a_json_file(here: Path) -> None:
    (here / "chat.json").write_text('\ufeff{"default": "here"}', encoding="utf-8")
    document = Document.read("chat.json")
    assert document.data == {"default": "here"}
    assert document.position_of(("default",)) is None


def test_the_table_of_a_pyproject(here: Path) -> None:
    (here / "pyproject.toml").write_text(TABLE)
    document = Document.read("pyproject.toml")
    assert document.data == {"default": "project"}
    assert document.table == ("tool", "wspipe")
    assert document.position_of(("default",)) == (2, 1)
    assert document.position_of(("pipelines", "chat")) is None


def test_a_mapping_is_taken_as_it_is() -> None:
    data = MappingProxyType({"default": "main"})
    document = Document.read(data)
    assert document.data == data
    assert (document.name, document.file, document.source) == ("configuration", None, data)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"wspipe.toml": HERE}, "wspipe.toml"),
        ({"wspipe.toml": HERE, "pyproject.toml": TABLE}, "wspipe.toml"),
        ({"pyproject.toml": TABLE}, "pyproject.toml"),
    ],
)
def test_without_a_source_it_is_the_file_here(
    files: dict[str, str], found: str, here: Path
) -> None:
    for name, text in files.items():
        (here / name).write_text(text)
    document = Document.read()
    assert document.name == found
    assert str(document.file) == found


@pytest.mark.parametrize("text", [None, "", "[tool.other]\n"])
def test_without_a_source_and_without_a_file(text: str | None, here: Path) -> None:
    if text is not None:
        (here / "pyproject.toml").write_text(text)
    with pytest.raises(UnreadableSource) as caught:
        Document.read()
    assert str(caught.value) == (
        f"{here}: there is no wspipe.toml here, and no pyproject.toml with a table [tool.wspipe]; "
        "name the file"
    )


@pytest.mark.parametrize("text", ["tool = 5\n", "[tool.wspipe\n", "tool.wspipe = 1\n"])
def test_without_a_source_a_pyproject_that_may_be_meant_is_read(text: str, here: Path) -> None:
    (here / "pyproject.toml").write_text(text)
    with pytest.raises(
        ConfigurationError, match=r"^pyproject\.toml(:1:13)?: (is|has) no"
    ) as caught:
        Document.read()
    assert not isinstance(caught.value, UnreadableSource)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing.toml", "missing.toml: cannot be read: no such file or directory"),
        ("missing.json", "missing.json: cannot be read: no such file or directory"),
        ("folder.toml", "folder.toml: cannot be read: is a directory"),
        ("a\0b", "a\0b: cannot be read: embedded null byte"),
    ],
)
def test_a_file_that_cannot_be_read(name: str, problem: str, here: Path) -> None:
    (here / "folder.toml").mkdir()
    with pytest.raises(UnreadableSource) as caught:
        Document.read(name)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.toml", b"a = 1\nb = \xff", "a.toml:2:5: is not UTF-8: invalid start byte"),
        ("a.toml", b"a = 1\nb", "a.toml:2:2: is not TOML: expected '=' after a key in a key/value"),
        ("a.json", b'{"a": }', "a.json:1:7: is not JSON: expecting value"),
        ("a.json", b"[]", "a.json: must hold one JSON object, with the key pipelines"),
        ("pyproject.toml", b"", "pyproject.toml: has no table [tool.wspipe]"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(
    name: str, content: bytes, problem: str, here: Path
) -> None:
    (here / name).write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        Document.read(name)
    assert str(caught.value).startswith(problem)
    assert not isinstance(caught.value, UnreadableSource)
