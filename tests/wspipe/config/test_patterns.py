"""Patterns of paths and hosts: what they match, what they cover, and what is no pattern."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wspipe.config.patterns import (
    HostPattern,
    PathPattern,
    PatternError,
    host_of,
    regex_of,
    spellings,
)

at_random = settings(derandomize=True, database=None, deadline=None, max_examples=300)

# A pattern as a list of pieces, in which "{" is some name in braces.
PIECES = st.lists(st.sampled_from(["a", "b", "/", "/", "{", "{", "*"]), max_size=9)
PATHS = st.text("ab/", max_size=12)
HOSTS = ("a", "b.a", "c.b.a", "a.b", "ba", "x.a", "b")


def pattern_of(pieces: list[str]) -> PathPattern:
    named = (f"{{n{i}}}" if piece == "{" else piece for i, piece in enumerate(pieces))
    return PathPattern.parse("/" + "".join(named))


def takes(pattern: PathPattern, path: str) -> bool:
    every = (path, *spellings(path))
    return any(regex_of(shape).match(spelled) for spelled in every for shape in pattern.shapes)


def model_of(pieces: list[str], path: str) -> bool:
    text = re.sub(r"\*+", "*", "/" + "".join(pieces))
    text = re.sub("//+", "/", text).rstrip("/") or "/"
    parts = {"{": "[^/]+", "*": ".*"}
    expression = re.compile("".join(parts.get(char, char) for char in text), re.DOTALL)
    if text.endswith("/*") and text != "/*":
        whole = "".join(parts.get(char, char) for char in text.removesuffix("/*"))
        expression = re.compile(f"{whole}(/.*)?", re.DOTALL)
    return any(expression.fullmatch(spelled) for spelled in (path, *spellings(path)))


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/", ["/"], ["", "//", "/a"]),
        ("/chat", ["/chat"], ["/Chat", "/chat/", "/chats", "chat", "/a/chat", "/chat\n"]),
        ("/a.b+c", ["/a.b+c"], ["/axb+c", "/a.bbc"]),
        ("/rooms/{id}", ["/rooms/1", "/rooms/\n", "/rooms/é"], ["/rooms/", "/rooms/1/2", "/rooms"]),
        ("/f/{name}.json", ["/f/a.json", "/f/.json.json"], ["/f/.json", "/f/a/b.json", "/f/a.js"]),
        ("/{a}-{b}", ["/1-2", "/---", "/1-2-3"], ["/-2", "/1-", "/1/-2"]),
        ("/{a}{b}", ["/12", "/123"], ["/1"]),
        ("/a/*", ["/a/", "/a/b", "/a/b/c\nd", "/a//"], ["/a", "/ab"]),
        ("/*", ["/", "/a", "/a/b"], ["", "a"]),
        ("/a*", ["/a", "/ab", "/a/b"], ["/b"]),
        ("/**//z/", ["//z", "/a/z", "/a/b/z"], ["/z", "/a/z/"]),
        ("/*/{x}/z", ["//b/z", "/a/b/z", "/a/b/c/z"], ["/b/z", "/a//z"]),
        ("/*ab*ba", ["/abba", "/xab/xba"], ["/aba"]),
        ("/{class}/{_x1}/{é}", ["/a/b/c"], ["/a/b"]),
    ],
)
def test_a_path_pattern_matches_the_whole_path(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    parsed = PathPattern.parse(pattern)
    assert [path for path in [*matching, *others] if regex_of(parsed.shape).match(path)] == matching


@at_random
@given(pieces=PIECES, path=PATHS)
@example(pieces=["*", "a", "{", "b"], path="/aa/aab")
@example(pieces=["*", "a", "/", "{", "b", "{", "a"], path="/a/ba/abba")
@example(pieces=["{", "a", "{", "a"], path="/aaaaaa")
def test_a_path_pattern_matches_what_the_plain_expression_does(
    pieces: list[str], path: str
) -> None:
    path = f"/{path}"
    assert takes(pattern_of(pieces), path) == model_of(pieces, path)


@at_random
@given(pieces=PIECES, data=st.data())
def test_a_path_pattern_matches_what_is_made_of_it(pieces: list[str], data: st.DataObject) -> None:
    assert takes(pattern_of(pieces), "/" + data.draw(paths_of(pieces)))


def paths_of(pieces: list[str]) -> st.SearchStrategy[str]:
    fill = {"{": st.text("ab", min_size=1, max_size=3), "*": st.text("ab/", max_size=4)}
    return st.tuples(*(fill.get(piece, st.just(piece)) for piece in pieces)).map("".join)


@pytest.mark.parametrize(
    "pattern",
    ["/*a*a*a*a*b", "/*a{w}a{x}a{y}b", "/*/{x}a/{y}b", "/{a}{b}{c}{d}{e}b", "/*{x}a*b/*c"],
)
@pytest.mark.parametrize("unit", ["a", "/", "a/", "/aa"])
def test_no_path_takes_more_than_a_few_looks_at_each_character(pattern: str, unit: str) -> None:
    # With a search that tries all ways to divide the path, this would not end.
    assert not regex_of(PathPattern.parse(pattern).shape).match("/" + unit * 50_000)


BRACES = "braces must be around a name, as in '{id}', and stand for nothing else"
NAME = "between the braces must be a Python identifier and nothing more, as in '{id}'"


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("chat", "must begin with a slash, as in '/chat'"),
        ("", "must begin with a slash, as in '/'"),
        ("*", "must begin with a slash, as in '/*'"),
        ("/a/{b", f"has a stray '{{' as character 4: {BRACES}"),
        ("/a}", f"has a stray '}}' as character 3: {BRACES}"),
        ("/{{a}}", f"has a stray '{{' as character 2: {BRACES}"),
        ("/{}", f"has '{{}}': {NAME}"),
        ("/{1}", f"has '{{1}}': {NAME}"),
        ("/{ a}", f"has '{{ a}}': {NAME}"),
        ("/{*}", f"has '{{*}}': {NAME}"),
        ("/x/{a/b}", f"has '{{a/b}}': {NAME}"),
        ("/x/{id:int}", f"has '{{id:int}}': {NAME}"),
        ("/{a}/{b}/{a}", "has '{a}' twice: each name must be used only once"),
    ],
)
def test_what_is_no_path_pattern_is_said_and_what_is_one(pattern: str, problem: str) -> None:
    with pytest.raises(PatternError) as caught:
        PathPattern.parse(pattern)
    assert str(caught.value) == f"the path {pattern!r} {problem}"


@pytest.mark.parametrize(
    ("pattern", "covered", "others"),
    [
        ("/a", ["/a", "/a/", "//a"], ["/", "/{x}", "/*"]),
        ("/{x}", ["/a", "/{y}", "/a{y}", "/{y}{z}", "/a/"], ["/", "/*", "/a*", "/{y}/{z}"]),
        ("/{x}{y}", ["/ab", "/a{x}"], ["/{x}", "/a"]),
        ("/*", ["/", "/a", "/{x}/{y}", "/a/*", "/**", "/*/{x}"], []),
        ("/a/*", ["/a/{x}", "/a/b/*", "/a", "/a/"], ["/a*", "/*"]),
        ("/*/b", ["/{x}/b", "/a/*/b"], ["/b", "//b", "/*b"]),
        ("/{x}.json", ["/a.json", "/{x}.b.json"], ["/{x}", "/.json", "/*.json"]),
        ("/{x}*", ["/{y}/*", "/{y}", "/a*", "//a"], ["/*"]),
    ],
)
def test_a_path_pattern_covers_those_that_are_within_it(
    pattern: str, covered: list[str], others: list[str]
) -> None:
    parsed = PathPattern.parse(pattern)
    found = [text for text in [*covered, *others] if parsed.covers(PathPattern.parse(text))]
    assert found == covered


@st.composite
def wider_pieces(draw: st.DrawFn, pieces: list[str]) -> list[str]:
    """Give a pattern that often matches more than another: some of its pieces are wildcards."""
    wider = [draw(st.sampled_from([piece, piece, "{", "*"])) for piece in pieces]
    return [piece for piece in wider if piece != "*" or draw(st.booleans())]


@at_random
@given(pieces=PIECES, data=st.data())
def test_what_a_path_pattern_covers_it_matches(pieces: list[str], data: st.DataObject) -> None:
    wider = data.draw(wider_pieces(pieces))
    path = "/" + data.draw(paths_of(pieces))
    if pattern_of(wider).covers(pattern_of(pieces)):
        assert model_of(wider, path)


def test_a_pattern_with_a_query_is_refused() -> None:
    with pytest.raises(PatternError, match="must end before the query, which is no part of it"):
        PathPattern.parse("/feed?x={y}")


@at_random
@given(pieces=PIECES)
def test_a_path_pattern_covers_itself(pieces: list[str]) -> None:
    assert pattern_of(pieces).covers(pattern_of(pieces))


def test_a_pattern_reads_as_it_was_written_and_equals_its_like() -> None:
    assert repr(PathPattern.parse("/{a}/**")) == "PathPattern(text='/{a}/**')"
    assert PathPattern.parse("/{a}/**").shape == "/{}/*"
    assert PathPattern.parse("/{a}") == PathPattern.parse("/{a}") != PathPattern.parse("/{b}")
    assert repr(HostPattern.parse("*.A.b")) == "HostPattern(text='*.A.b')"
    assert len({HostPattern.parse("a"), HostPattern.parse("a"), HostPattern.parse("*.a")}) == 2


def scope_with(*hosts: bytes) -> dict[str, Any]:
    return {"headers": [(b"x-host", b"x"), *((b"host", host) for host in hosts), (b"a", b"b")]}


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b"example.com", "example.com"),
        (b"Example.COM:8000", "example.com"),
        (b"example.com:", "example.com"),
        (b"example.com.", "example.com"),
        (b"example.com.:443", "example.com"),
        (b"my_host-1", "my_host-1"),
        (b"192.0.2.1:80", "192.0.2.1"),
        (b"[::1]:8000", "[::1]"),
        (b"[2001:DB8:0:0::1]", "[2001:db8::1]"),
        (b"a" * 63, "a" * 63),
        (b".".join([b"a" * 49] * 5), ".".join(["a" * 49] * 5)),
    ],
)
def test_the_host_is_in_the_header(value: bytes, host: str) -> None:
    assert host_of(scope_with(value)) == host


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b".",
        b":80",
        b"example.com..",
        b".example.com",
        b"a..b",
        b"*.example.com",
        b"example.com:http",
        b"example.com:80:80",
        b"user@example.com",
        b"http://example.com",
        b"example.com/",
        b"example.com, example.org",
        b" example.com",
        b"example.com\n",
        b"b\xfccher.example",
        b"\xe2\x84\xaa.example",
        b"%61.example",
        b"::1",
        b"[::1",
        b"[::1].",
        b"[::1]80",
        b"[:::1]",
        b"[fe80::1%eth0]",
        b"[v1.a:b]",
        b"[192.0.2.1]",
        b"192.0.2.256",
        b"1.2.3",
        b"a" * 64,
        b".".join([b"a" * 50] * 5),
        b"a." * 32_000 + b"a",
        b"[" + b":" * 60_000 + b"]",
    ],
)
def test_a_header_without_a_name_or_an_address_has_no_host(value: bytes) -> None:
    assert host_of(scope_with(value)) is None


def test_the_first_of_many_host_headers_counts() -> None:
    assert host_of(scope_with(b"a", b"b")) == "a"
    assert host_of(scope_with(b"", b"b")) is None


@pytest.mark.parametrize("scope", [{}, {"headers": []}, {"headers": None}, scope_with()])
def test_without_a_host_header_there_is_no_host(scope: dict[str, Any]) -> None:
    assert host_of(scope) is None


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("chat.Example.com", ["chat.example.com"], ["example.com", "a.chat.example.com", "chat"]),
        ("example.com.", ["example.com"], ["xexample.com", "example.com.org"]),
        ("*.example.com", ["a.example.com", "a.b.example.com"], ["example.com", "xexample.com"]),
        ("*.Example.com.", ["a.example.com"], []),
        ("192.0.2.1", ["192.0.2.1"], ["192.0.2.10"]),
        ("[2001:DB8:0::1]", ["[2001:db8::1]"], ["[2001:db8::11]"]),
    ],
)
def test_a_host_pattern_matches_the_host_or_what_is_below(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    parsed = HostPattern.parse(pattern)
    assert [host for host in [*matching, *others] if parsed.matches(host)] == matching


ONE = "such as 'example.com', '*.example.com', '192.0.2.1' or '[2001:db8::1]'"
NEITHER = (
    f"is neither a name nor an address: it must be as in the Host header, without a port, {ONE}"
)
INSIDE = "has a star inside: one may only be in front, as in '*.example.com'"


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        *(
            (text, NEITHER)
            for text in ("", "*.", "https://a.b", "a..b", "[::1", "1.2.3", "a b", "a" * 64, "a\n")
        ),
        *((text, INSIDE) for text in ("*", "*a.b", "a.*.b", "*.*.b")),
        ("a.b:80", "has a port, which is not compared: it must be 'a.b'"),
        ("*.a.b:", "has a port, which is not compared: it must be '*.a.b'"),
        ("[::1]:80", "has a port, which is not compared: it must be '[::1]'"),
        ("2001:DB8:0::1", "has no brackets: it must be '[2001:db8::1]'"),
        ("bücher.example", "is not in ASCII: it must be what browsers send, a name with 'xn--'"),
        (
            "*.192.0.2.1",
            "has '*.' before an address: it must be before a name, as in '*.example.com'",
        ),
        ("*.[::1]", "has '*.' before an address: it must be before a name, as in '*.example.com'"),
    ],
)
def test_what_is_no_host_pattern_is_said_and_what_is_one(pattern: str, problem: str) -> None:
    with pytest.raises(PatternError) as caught:
        HostPattern.parse(pattern)
    assert str(caught.value) == f"the host {pattern!r} {problem}"


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("a", {"a"}),
        ("b.a", {"b.a"}),
        ("*.a", {"b.a", "c.b.a", "x.a", "*.a", "*.b.a", "*.c.b.a", "*.x.a"}),
        ("*.b.a", {"c.b.a", "*.b.a", "*.c.b.a"}),
    ],
)
def test_a_host_pattern_covers_those_that_are_within_it(pattern: str, covered: set[str]) -> None:
    parsed = HostPattern.parse(pattern)
    texts = [*HOSTS, *(f"*.{host}" for host in HOSTS)]
    assert {text for text in texts if parsed.covers(HostPattern.parse(text))} == covered
