"""`Router`: always the first route that matches, as a plain search through all of them finds it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wspipe.config.patterns import HostPattern, PathPattern
from wspipe.config.routing import Router

Route = tuple[str, str | None]

at_random = settings(derandomize=True, database=None, deadline=None, max_examples=600)

# The pieces of a path, in which "{" is some name in braces: mostly whole segments.
PIECES = st.lists(
    st.sampled_from(["/a", "/b", "/a", "/b", "/{", "/{", "/", "/*", "*", "{", "a"]), max_size=5
)
PATHS = st.lists(st.sampled_from(["/a", "/b", "/ab", "/c", "/", "a"]), max_size=6).map("".join)
HOSTS = ("a", "b.a", "c.b.a", "b", "*.a", "*.b.a")


def text_of(pieces: list[str]) -> str:
    names = iter("klmnopq")
    text = re.sub(r"\{", lambda _: f"{{{next(names)}}}", "".join(pieces))
    return text if text.startswith("/") else f"/{text}"


ROUTES = st.lists(
    st.tuples(PIECES.map(text_of), st.sampled_from([None, None, None, *HOSTS])), max_size=12
)


def router_of(*routes: Route | str) -> Router[int]:
    pairs = [(route, None) if isinstance(route, str) else route for route in routes]
    return Router(
        (PathPattern.parse(path), HostPattern.parse(host) if host else None, position)
        for position, (path, host) in enumerate(pairs)
    )


def scope_of(path: str, host: str | None = None) -> dict[str, Any]:
    headers = [] if host is None else [(b"host", host.encode())]
    return {"type": "websocket", "path": path, "headers": headers}


def plain_search(routes: list[Route], path: str, host: str | None) -> int | None:
    """Try each route in turn."""
    for position, (pattern, wanted) in enumerate(routes):
        pattern = re.sub(r"\*+", "*", pattern)  # noqa: PLW2901 - likewise
        pattern = re.sub("//+", "/", pattern).rstrip("/") or "/"  # noqa: PLW2901 - respelled
        expression = re.sub(r"\{.\}", "[^/]+", pattern).replace("*", ".*")
        if pattern.endswith("/*") and pattern != "/*":
            expression = f"{expression.removesuffix('/.*')}(/.*)?"
        single = re.sub("//+", "/", path)
        spellings = {path, path.removesuffix("/"), single, single.removesuffix("/")}
        if not any(re.fullmatch(expression, each, re.DOTALL) for each in spellings):
            continue
        if wanted is None or host == wanted:
            return position
        if wanted[0] == "*" and host is not None and host.endswith(wanted[1:]):
            return position
    return None


@at_random
@given(routes=ROUTES, path=PATHS, host=st.sampled_from([None, *HOSTS[:4], "x.c.b.a"]))
def test_a_router_finds_what_a_plain_search_finds(
    routes: list[Route], path: str, host: str | None
) -> None:
    found = router_of(*routes).find(scope_of(path, host and f"{host.upper()}.:8000"))
    assert found == plain_search(routes, path, host)


@at_random
@given(routes=st.lists(PIECES.map(text_of), min_size=1, max_size=12), data=st.data())
def test_a_router_finds_a_route_for_a_path_that_is_made_of_one(
    routes: list[str], data: st.DataObject
) -> None:
    pattern = data.draw(st.sampled_from(routes))
    segment, rest = st.sampled_from(["a", "b", "ab"]), st.sampled_from(["", "a", "/b", "b/a/"])
    path = re.sub(r"\{.\}", lambda _: data.draw(segment), pattern)
    path = re.sub(r"\*", lambda _: data.draw(rest), path)
    found = router_of(*routes).find(scope_of(path))
    assert found is not None
    assert found == plain_search([(route, None) for route in routes], path, None)


@pytest.mark.parametrize(
    ("routes", "path", "found"),
    [
        ([], "/", None),
        (["/a", "/a"], "/a", 0),
        (["/{x}", "/a"], "/a", 0),
        (["/a", "/{x}"], "/a", 0),
        (["/a", "/{x}"], "/b", 1),
        (["/a/{x}/c", "/{x}/b/{y}"], "/a/b/d", 1),
        (["/{x}/b/{y}", "/a/{x}/c"], "/a/b/c", 0),
        (["/a/*", "/a/{x}"], "/a/b", 0),
        (["/a/{x}", "/a/*"], "/a/b", 0),
        (["/a/{x}", "/a/*"], "/a/", 1),
        (["/a/{x}", "/a/*"], "/a", 1),
        (["/a/{x}/*"], "/a/b", 0),
        (["/a*"], "/a", 0),
        (["/*"], "", None),
        (["/a/{x}.json", "/a/*", "/a/{x}"], "/a/b.json", 0),
        (["/a/{x}.json", "/a/b*", "/a/{x}"], "/a/c", 2),
        (["/*", "/a"], "/a", 0),
        (["/*", "/{x}/"], "a", None),
        (["/{x}", "/*"], "", None),
        (["/{x}/b"], "/a/b/c", None),
        (["/{x}/b"], "/a", None),
        (["/a/{x}"], "/a/b/", 0),
        (["/a/{x}"], "//a//b", 0),
        (["/a/{x}/"], "/a/b", 0),
        (["/a//{x}"], "/a/b", 0),
        (["/"], "//", 0),
        (["/"], "", None),
        (["/{x}/", "/{x}//b"], "/a//b", 1),
        (["/{x}/{y}"], "/a/b" + "/c" * 9, None),
    ],
)
def test_the_first_route_that_matches_is_found(
    routes: list[str], path: str, found: int | None
) -> None:
    assert router_of(*routes).find(scope_of(path)) == found


@pytest.mark.parametrize(
    ("root", "path", "found"),
    [
        ("", "/a/b", 0),
        ("/api", "/api/a/b", 0),
        ("/api/", "/api/a/b", 0),
        ("/api", "/a/b", 0),
        ("/api", "/api", 1),
        ("/a", "/a/b", None),
    ],
)
def test_where_the_application_is_mounted_does_not_matter(
    root: str, path: str, found: int | None
) -> None:
    router = router_of("/a/{x}", "/")
    assert router.find({**scope_of(path), "root_path": root}) == found


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("chat.example.com", 1),
        ("a.b.example.com", 2),
        ("b.example.com", 3),
        ("example.com", 4),
        ("[::1]:8000", 5),
        ("127.0.0.1", 6),
        (None, 6),
        ("not a host", 6),
    ],
)
def test_a_route_with_a_host_is_for_that_host_only(host: str | None, found: int) -> None:
    router = router_of(
        ("/b", None),
        ("/{x}", "chat.example.com"),
        ("/*", "*.b.example.com"),
        ("/a", "*.example.com"),
        ("/a", "example.com"),
        ("/a", "[::1]"),
        ("/{x}", None),
        ("/a", "127.0.0.1"),
    )
    assert router.find(scope_of("/a", host)) == found


def test_headers_are_read_only_where_some_route_asks_for_a_host() -> None:
    unreadable = {"path": "/a", "headers": "unreadable"}
    assert router_of("/{x}").find(unreadable) == 0
    with pytest.raises(ValueError, match="unpack"):
        router_of(("/a", "example.com")).find(unreadable)


def test_ever_new_hosts_are_told_apart() -> None:
    router = router_of(("/a", "h7.example.com"), ("/a", "*.example.com"), "/a")
    hosts = [f"h{number}.example.{'com' if number % 2 else 'org'}" for number in range(1000)]
    expected = [0 if n == 7 else 1 if n % 2 else 2 for n in range(1000)]
    assert [router.find(scope_of("/a", host)) for host in hosts] == expected


def test_a_target_is_given_as_it_is() -> None:
    target = object()
    router = Router([(PathPattern.parse("/a"), None, target)])
    assert router.find(scope_of("/a")) is target
    assert router.find(scope_of("/b")) is None


def test_the_time_depends_on_the_routes_and_not_on_the_path() -> None:
    # Each segment has two ways to go on, in every combination: one place of the tree for each.
    ways = ["".join(f"/{{n{i}}}" if way >> i & 1 else "/a" for i in range(8)) for way in range(256)]
    router = router_of(*(f"{way}/end" for way in ways))
    assert router.find(scope_of("/a" * 8 + "/end")) == 0
    assert router.find(scope_of("/a" * 50_000)) is None
    assert router.find(scope_of("/a" * 8 + "/" * 50_000)) is None


def test_a_pattern_may_be_deeper_than_the_stack() -> None:
    router = router_of("".join(f"/{{n{i}}}" for i in range(5_000)), "/a" * 5_000 + "/{x}")
    assert router.find(scope_of("/a" * 5_000)) == 0
    assert router.find(scope_of("/a" * 5_001)) == 1
    assert router.find(scope_of("/a" * 5_002)) is None
