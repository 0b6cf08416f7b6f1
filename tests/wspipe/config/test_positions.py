"""Where the keys and values of a TOML document stand, against `tomllib` and a random writer."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wspipe.config.positions import MAX_DEPTH, KeyPath, Place, Position, positions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

At: TypeAlias = tuple[int, int]

at_random = settings(derandomize=True, database=None, deadline=None, max_examples=150)


def _paths(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    entries: dict[Any, Any] = {}
    if isinstance(value, dict):
        entries = cast("dict[Any, Any]", value)
    elif isinstance(value, list):
        entries = dict(enumerate(cast("list[Any]", value)))
    for key, entry in entries.items():
        yield (*path, key), entry
        yield from _paths(entry, (*path, key))


def test_a_place_has_a_key_and_a_value_with_line_and_column() -> None:
    place = positions("\n rate = 5")["rate",]
    assert place == Place(key=Position(line=2, column=2), value=Position(line=2, column=9))


@pytest.mark.parametrize(
    ("text", "places"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("# a = 1\n\n \t# b", {}, id="nothing but comments"),
        pytest.param("a=1", {("a",): ((1, 1), (1, 3))}, id="bare key"),
        pytest.param("a-_Z9 =\t1", {("a-_Z9",): ((1, 1), (1, 9))}, id="tab"),
        pytest.param("1234 = 1", {("1234",): ((1, 1), (1, 8))}, id="key of digits"),
        pytest.param("'a.b' = 1", {("a.b",): ((1, 1), (1, 9))}, id="literal key"),
        pytest.param(r"'\n' = 1", {("\\n",): ((1, 1), (1, 8))}, id="literal key, no escape"),
        pytest.param(r'"a\"\u00e9]" = 1', {('a"é]',): ((1, 1), (1, 16))}, id="escapes in key"),
        pytest.param('"" = 1', {("",): ((1, 1), (1, 6))}, id="empty key"),
        pytest.param("'' = 1", {("",): ((1, 1), (1, 6))}, id="empty literal key"),
        pytest.param(
            "a . 'b'.\"c\" = 1",
            {
                ("a",): ((1, 1), (1, 1)),
                ("a", "b"): ((1, 5), (1, 5)),
                ("a", "b", "c"): ((1, 9), (1, 15)),
            },
            id="dotted key",
        ),
        pytest.param(
            "a.b = 1\na.c = 2",
            {
                ("a",): ((1, 1), (1, 1)),
                ("a", "b"): ((1, 3), (1, 7)),
                ("a", "c"): ((2, 3), (2, 7)),
            },
            id="a table of dotted keys is where it is first named",
        ),
        pytest.param(
            "  [ a ]  # [b]\nc = 1",
            {("a",): ((1, 5), (1, 5)), ("a", "c"): ((2, 1), (2, 5))},
            id="header",
        ),
        pytest.param(
            "[a.'b.c' . d]",
            {
                ("a",): ((1, 2), (1, 2)),
                ("a", "b.c"): ((1, 4), (1, 4)),
                ("a", "b.c", "d"): ((1, 12), (1, 12)),
            },
            id="implicit super tables",
        ),
        pytest.param(
            "[a.b]\n[a.c]\n",
            {
                ("a",): ((1, 2), (1, 2)),
                ("a", "b"): ((1, 4), (1, 4)),
                ("a", "c"): ((2, 4), (2, 4)),
            },
            id="an implicit table is where it is first named",
        ),
        pytest.param(
            "[a.b]\n[a]\n",
            {("a",): ((2, 2), (2, 2)), ("a", "b"): ((1, 4), (1, 4))},
            id="a table with a header of its own is there",
        ),
        pytest.param(
            "[[a]]\nx = 1\n[[ a ]]\nx = 2",
            {
                ("a",): ((1, 3), (1, 3)),
                ("a", 0): ((1, 3), (1, 3)),
                ("a", 0, "x"): ((2, 1), (2, 5)),
                ("a", 1): ((3, 4), (3, 4)),
                ("a", 1, "x"): ((4, 1), (4, 5)),
            },
            id="array of tables",
        ),
        pytest.param(
            "[[a.b]]\n[[a.b]]\n[a.b.sub]\n[[a.b.inner]]\n[[a.b.inner]]\nx.y=1\n[[a.b]]\n[a.b.sub]",
            {
                ("a",): ((1, 3), (1, 3)),
                ("a", "b"): ((1, 5), (1, 5)),
                ("a", "b", 0): ((1, 5), (1, 5)),
                ("a", "b", 1): ((2, 5), (2, 5)),
                ("a", "b", 1, "sub"): ((3, 6), (3, 6)),
                ("a", "b", 1, "inner"): ((4, 7), (4, 7)),
                ("a", "b", 1, "inner", 0): ((4, 7), (4, 7)),
                ("a", "b", 1, "inner", 1): ((5, 7), (5, 7)),
                ("a", "b", 1, "inner", 1, "x"): ((6, 1), (6, 1)),
                ("a", "b", 1, "inner", 1, "x", "y"): ((6, 3), (6, 5)),
                ("a", "b", 2): ((7, 5), (7, 5)),
                ("a", "b", 2, "sub"): ((8, 6), (8, 6)),
            },
            id="below arrays of tables the last element is meant",
        ),
        pytest.param("a = []", {("a",): ((1, 1), (1, 5))}, id="empty array"),
        pytest.param(
            "a = [1, [2,\t3],]",
            {
                ("a",): ((1, 1), (1, 5)),
                ("a", 0): ((1, 6), (1, 6)),
                ("a", 1): ((1, 9), (1, 9)),
                ("a", 1, 0): ((1, 10), (1, 10)),
                ("a", 1, 1): ((1, 13), (1, 13)),
            },
            id="nested arrays",
        ),
        pytest.param(
            "a = [ # ]\n  # 0,\n  '#'\n  , # 1\n\t{ x = ']' } # }\n  ,\n]\nb = 1",
            {
                ("a",): ((1, 1), (1, 5)),
                ("a", 0): ((3, 3), (3, 3)),
                ("a", 1): ((5, 2), (5, 2)),
                ("a", 1, "x"): ((5, 4), (5, 8)),
                ("b",): ((8, 1), (8, 5)),
            },
            id="array on many lines",
        ),
        pytest.param("a = {}", {("a",): ((1, 1), (1, 5))}, id="empty inline table"),
        pytest.param(
            'a = { b = {c=1}, "d" = "}", e.f = true }',
            {
                ("a",): ((1, 1), (1, 5)),
                ("a", "b"): ((1, 7), (1, 11)),
                ("a", "b", "c"): ((1, 12), (1, 14)),
                ("a", "d"): ((1, 18), (1, 24)),
                ("a", "e"): ((1, 29), (1, 29)),
                ("a", "e", "f"): ((1, 31), (1, 35)),
            },
            id="inline tables",
        ),
        pytest.param(
            "a = 1\r\n\r\n[b] # \r\nc = '''\r\n\r\n'''\r\nd = [\r\n1]\r\n",
            {
                ("a",): ((1, 1), (1, 5)),
                ("b",): ((3, 2), (3, 2)),
                ("b", "c"): ((4, 1), (4, 5)),
                ("b", "d"): ((7, 1), (7, 5)),
                ("b", "d", 0): ((8, 1), (8, 1)),
            },
            id="CRLF",
        ),
        pytest.param(
            "# \x85\u2028\na = '\x85\u2028é😀' # é\n'😀'.b = 1",
            {
                ("a",): ((2, 1), (2, 5)),
                ("😀",): ((3, 1), (3, 1)),
                ("😀", "b"): ((3, 5), (3, 9)),
            },
            id="columns are in characters, and only LF ends a line",
        ),
    ],
)
def testpositions(text: str, places: dict[KeyPath, tuple[At, At]]) -> None:
    assert positions(text) == places
    assert places.keys() == dict(_paths(tomllib.loads(text))).keys()


LITERALS = [
    "0",
    "-17",
    "+1_000",
    "0xDEAD_beef",
    "0o755",
    "0b1101",
    "3.14",
    "-0.01e-2",
    "inf",
    "-inf",
    "true",
    "false",
    "1979-05-27T07:32:00Z",
    "1979-05-27 07:32:00.5-07:00",
    "1979-05-27 07:32:00",
    "1979-05-27",
    "07:32:00.999",
    '""',
    '"a"',
    r'"\" # ] } , = \\"',
    r'"\\"',
    "''",
    r"'\'",
    "'\"'",
    '""""""',
    '"""\n"""',
    '"""a"b""c"""',
    '""""a""""',
    '"""""a"""""',
    '""""""""',
    r'"""\""""',
    r'"""a\"""\""""""',
    r'"""\\"""',
    '"""a \\\n\n   b\\  \n"""',
    '"""\n# no comment\n[no.header]\nno = "key"\n"""',
    "''''''",
    "'''\na'b''c'''",
    "''''a''''",
    "'''''a'''''",
    "''''''''",
    r"'''\'''",
    "'''\n# no comment\n]\n'''",
]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("literal", LITERALS)
def test_what_follows_a_literal_is_found(literal: str, newline: str) -> None:
    text = (
        f"x = {literal}\nb = [ {literal},{literal} ] # ]\n"
        f"c = {{x = {literal}, y = {literal}}}\n[d]\nx = {literal} # =\ny = {literal}\n[z]"
    ).replace("\n", newline)
    found = positions(text)
    assert found.keys() == dict(_paths(tomllib.loads(text))).keys()
    lines = text.count("\n")
    assert positions(text)["z",] == ((lines + 1, 2), (lines + 1, 2))
    assert found["d", "y"].key == (lines - literal.count("\n"), 1)
    literal = literal.replace("\n", newline)
    for path, value in _paths(tomllib.loads(text)):
        if not isinstance(value, dict | list):
            assert text.startswith(literal, _index(text, found[path].value)), path


def test_newlines_and_a_trailing_comma_in_an_inline_table_are_read_as_toml_1_1_has_them() -> None:
    assert positions("a = { # {\n  b = 1,\n  c = 2, # }\n}\nd = 1") == {
        ("a",): ((1, 1), (1, 5)),
        ("a", "b"): ((2, 3), (2, 7)),
        ("a", "c"): ((3, 3), (3, 7)),
        ("d",): ((5, 1), (5, 5)),
    }


@pytest.mark.parametrize(
    "rest",
    [
        "!",
        "= 1",
        "b",
        "b 1",
        "b. = 1",
        ". = 1",
        "[]",
        "[b",
        "[[b]",
        "[b]]",
        '"b = 1',
        r'"\z" = 1',
        r'"\ud800" = 1',
        r'"\UFFFFFFFF" = 1',
        "\ufeffb = 1",
    ],
)
def test_the_scan_ends_at_what_cannot_be_read(rest: str) -> None:
    found = positions(f"a = 1\n{rest}\nc = 1")
    assert found["a",] == ((1, 1), (1, 5))
    assert ("c",) not in found


@pytest.mark.parametrize(
    "value", ["[", "[1", "[1,\n", "{", "{c", "{c = ", '"', "'", '"\\"', '"""', "'''", "'''\n''"]
)
def test_the_key_of_a_value_that_is_not_complete_is_found(value: str) -> None:
    found = positions(f"a = {value}")
    assert found["a",] == ((1, 1), (1, 5))
    assert found.keys() <= {("a",), ("a", 0)}


@pytest.mark.parametrize("value", ["", "# 1", "\n", "]", "}", ","])
def test_the_key_without_a_value_is_not_found(value: str) -> None:
    assert positions(f"a = {value}") == {}
    assert positions(f"a = [{value}").keys() == {("a",)}


@pytest.mark.parametrize("quotes", ['"""', "'''"])
def test_a_string_that_is_not_closed_is_no_empty_string(quotes: str) -> None:
    assert positions(f"a = {quotes}\nb = 1\n").keys() == {("a",)}
    assert positions(f"a = {quotes}b{quotes[0]} = 1\n").keys() == {("a",)}


def test_what_is_nested_too_deep_ends_the_scan() -> None:
    deepest = ".".join("a" * MAX_DEPTH)
    assert len(positions(f"{deepest} = 1\nb = 1")) == MAX_DEPTH + 1
    assert len(positions(f"{deepest}.a = 1\nb = 1")) == MAX_DEPTH
    nested = [
        f"a = {'[' * more}{']' * more}\nb = 1" for more in range(MAX_DEPTH - 1, MAX_DEPTH + 2)
    ]
    assert [len(positions(text)) - MAX_DEPTH for text in nested] == [0, 1, 0]


@pytest.mark.parametrize("part", ["[", "{a=", "a.", "[[a]]\n", "'''", '"', "\\", "#", "\r", "a=[["])
@pytest.mark.parametrize("start", ["", "a = ", "[", "a = [", 'a = "'])
def test_the_same_over_and_over_raises_nothing(start: str, part: str) -> None:
    positions(start + part * 20_000)


def test_a_long_document() -> None:
    text = "".join(f"[[table]]\nkey = {{x = [1, 'a', 3]}} # {number}\n" for number in range(5_000))
    found = positions(text)
    assert len(text) > 200_000
    assert len(found) == 1 + 5_000 * 6
    assert found["table", 4_999, "key", "x", 2] == ((10_000, 21), (10_000, 21))


class _Literal(str):
    """A scalar, as it is written."""

    __slots__ = ()


class _Writer:
    """Writes nested data as TOML in a random layout, and notes where it wrote what."""

    def __init__(self, data: dict[str, Any], random: Random) -> None:
        self.random = random
        self.newline = random.choice(["\n", "\r\n"])
        self.text = ""
        self.places: dict[KeyPath, tuple[int, int]] = {}
        self.literals: dict[KeyPath, str] = {}
        self.gap()
        self.table((), data, header="")
        if random.random() < 0.2:
            self.text = self.text.rstrip("\r\n")

    def write(self, *choices: str) -> None:
        self.text += self.random.choice(choices).replace("\n", self.newline)

    def blank(self) -> None:
        self.write("", "", " ", "\t", "  ")

    def gap(self) -> None:
        self.write("", " ", "\n", " # ] , \"'''\n\t", "\n\n  ")

    def end_line(self) -> None:
        self.blank()
        self.write("\n", "\n\n", "# [c]\n", "#\n \n# é = '''\n")
        self.blank()

    def comma(self) -> None:
        self.blank()
        self.write(",")
        self.blank()

    def way(self, value: Any, *ways: str) -> str:
        if isinstance(value, list):
            tables = [isinstance(each, dict) for each in cast("list[Any]", value)]
            ways = tuple(way for way in ways if way != "dotted")
            return self.random.choice(ways) if tables and all(tables) else "inline"
        ways = tuple(way for way in ways if way != "dotted" or value)
        return self.random.choice(ways) if isinstance(value, dict) else "inline"

    def table(self, path: KeyPath, table: dict[str, Any], header: str) -> None:
        ways = {key: self.way(table[key], "inline", "dotted", "header") for key in table}
        when = "first"
        if header == "[" and table and set(ways.values()) == {"header"}:
            when = self.random.choice(["first", "never", "last"])
        if header and when == "first":
            self.header(path, header)
        for key, way in ways.items():
            if way != "header":
                self.pair(path, (*path, key), table[key], way, self.end_line)
                self.end_line()
        for key, way in ways.items():
            if way == "header" and isinstance(table[key], dict):
                self.table((*path, key), table[key], "[")
            elif way == "header":
                for index, element in enumerate(table[key]):
                    self.table((*path, key, index), element, "[[")
        if when == "last":
            self.header(path, header)

    def header(self, path: KeyPath, header: str) -> None:
        self.write(header)
        self.blank()
        names = path if header == "[" else path[:-1]
        start = self.names((), names)
        if header == "[" or path[-1] == 0:
            self.places[names] = (start, start)
        self.places[path] = (start, start)
        self.blank()
        self.write("]" * len(header))
        self.end_line()

    def names(self, base: KeyPath, path: KeyPath) -> int:
        """Write the names that lead from `base` to `path`, and tell where the last one begins."""
        start = -1
        for length in range(len(base) + 1, len(path) + 1):
            name = path[length - 1]
            if isinstance(name, str):
                if start >= 0:
                    self.write(".", ".", " . ", "\t.")
                start = len(self.text)
                self.write(*_spellings(name))
                if length < len(path):
                    self.places.setdefault(path[:length], (start, start))
        return start

    def pair(
        self, base: KeyPath, path: KeyPath, value: Any, way: str, separate: Callable[[], None]
    ) -> None:
        if way == "dotted":
            for number, (key, each) in enumerate(value.items()):
                if number:
                    separate()
                self.pair(base, (*path, key), each, self.way(each, "inline", "dotted"), separate)
        else:
            key = self.names(base, path)
            self.blank()
            self.write("=")
            self.blank()
            self.places[path] = (key, len(self.text))
            self.value(path, value)

    def value(self, path: KeyPath, value: Any) -> None:
        if isinstance(value, list):
            self.array(path, cast("list[Any]", value))
        elif isinstance(value, dict):
            self.inline_table(path, cast("dict[str, Any]", value))
        else:
            start = len(self.text)
            self.write(value)
            self.literals[path] = self.text[start:]

    def array(self, path: KeyPath, array: list[Any]) -> None:
        self.write("[")
        for index, element in enumerate(array):
            self.gap()
            self.places[*path, index] = (len(self.text), len(self.text))
            self.value((*path, index), element)
            self.gap()
            self.write(*([","] if index < len(array) - 1 else ["", ","]))
        self.gap()
        self.write("]")

    def inline_table(self, path: KeyPath, table: dict[str, Any]) -> None:
        self.write("{")
        self.blank()
        for number, (key, value) in enumerate(table.items()):
            if number:
                self.comma()
            way = self.way(value, "inline", "dotted")
            self.pair(path, (*path, key), value, way, self.comma)
        self.blank()
        self.write("}")


def _spellings(name: str) -> list[str]:
    escaped = name.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    spellings = [f'"{escaped}"', '"' + "".join(f"\\U{ord(char):08x}" for char in name) + '"']
    if "'" not in name and "\n" not in name:
        spellings.append(f"'{name}'")
    if re.fullmatch("[A-Za-z0-9_-]+", name):
        spellings += [name] * 5
    return spellings


def _is_literal(text: str) -> bool:
    try:
        return tomllib.loads(f"x = {text}")["x"] == tomllib.loads(f"x = [{text}]")["x"][0]
    except tomllib.TOMLDecodeError:
        return False


def _between(delimiter: str, *pieces: str) -> st.SearchStrategy[str]:
    inner = st.lists(st.sampled_from(["a", " ", "#", "]", "}", ",", "=", "é", *pieces]), max_size=8)
    return inner.map("".join).map(lambda text: delimiter + text + delimiter).filter(_is_literal)


_strings = st.one_of(
    _between('"', "'", r"\"", r"\\", r"\n", r"\u00e9"),
    _between("'", '"', "\\"),
    _between('"""', "'''", '"', '""', r"\"", r"\\", "\n", "\\\n ", "\\ \n\n"),
    _between("'''", '"""', "'", "''", "\\", "\n"),
)
_keys = st.sampled_from(["a", "b", "c-d", "1", "1.5", "true", ""]) | st.text("a.'\"\\\n#=] é😀")
_data = st.recursive(
    (st.sampled_from(LITERALS) | _strings).map(_Literal),
    lambda data: st.one_of(
        st.lists(data, max_size=3),
        st.dictionaries(_keys, data, max_size=3),
        st.lists(st.dictionaries(_keys, data, max_size=3), max_size=3),
    ),
    max_leaves=12,
)
_documents = st.builds(
    _Writer, st.dictionaries(_keys, _data, max_size=4), st.builds(Random, st.integers(0, 2**32))
)


def _index(text: str, position: Position) -> int:
    return (
        sum(len(line) + 1 for line in text.split("\n")[: position.line - 1]) + position.column - 1
    )


@at_random
@given(_documents)
def test_the_paths_are_those_that_tomllib_reads(document: _Writer) -> None:
    assert positions(document.text).keys() == dict(_paths(tomllib.loads(document.text))).keys()


@at_random
@given(_documents)
def test_all_is_where_it_was_written(document: _Writer) -> None:
    found = positions(document.text)
    assert document.places == {
        path: (_index(document.text, place.key), _index(document.text, place.value))
        for path, place in found.items()
    }


@at_random
@given(_documents)
def test_what_begins_at_the_places_is_the_key_and_the_literal(document: _Writer) -> None:
    found = positions(document.text)
    for path, value in _paths(tomllib.loads(document.text)):
        text = document.text[_index(document.text, found[path].key) :]
        names = [name for name in path if isinstance(name, str)]
        if isinstance(path[-1], str):
            assert text.startswith(tuple(_spellings(names[-1])))
        if path in document.literals:
            text = document.text[_index(document.text, found[path].value) :]
            literal = document.literals[path]
            assert text.startswith(literal)
            assert tomllib.loads(f"x = {literal}") == {"x": value}


@at_random
@given(_documents, st.data())
def test_of_a_document_cut_off_the_beginning_is_found(
    document: _Writer, data: st.DataObject
) -> None:
    end = data.draw(st.integers(0, len(document.text)))
    assert positions(document.text[:end]).keys() <= document.places.keys()


@at_random
@given(_documents, _documents, st.data())
def test_mutated_documents_raise_nothing(
    document: _Writer, other: _Writer, data: st.DataObject
) -> None:
    text = document.text
    for _ in range(data.draw(st.integers(1, 4))):
        start, end = sorted(data.draw(st.integers(0, len(text))) for _ in range(2))
        piece = data.draw(st.sampled_from(["", *"[]{}\"'\\#=.,\n\r", '"""', "'''", other.text]))
        text = text[:start] + piece + text[data.draw(st.sampled_from([start, end])) :]
    _assert_within(text)


@at_random
@given(st.text("ab1.=,[]{}\"'\\#\n\r\t u0-é", max_size=60) | st.text(st.characters()))
def test_no_text_raises(text: str) -> None:
    _assert_within(text)


def _assert_within(text: str) -> None:
    lines = text.split("\n")
    for place in positions(text).values():
        for line, column in place:
            assert 1 <= line <= len(lines)
            assert 1 <= column <= len(lines[line - 1]) + 1
    with suppress(tomllib.TOMLDecodeError, RecursionError):
        assert positions(text).keys() == dict(_paths(tomllib.loads(text))).keys()
