"""`header_list`: the forms in which people have headers."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import litestar.datastructures
import pytest
import starlette.datastructures
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict

from wspipe.headers import header_list

PAIRS = [(b"x-one", b"1"), (b"x-two", b"2")]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-One": "1", "X-Two": "2"},
        UserDict({"X-One": "1", "X-Two": "2"}),
        MultiDict([("X-One", "1"), ("X-Two", "2")]),
        CIMultiDict([("X-One", "1"), ("X-Two", "2")]),
        CIMultiDictProxy(CIMultiDict([("X-One", "1"), ("X-Two", "2")])),
        starlette.datastructures.MutableHeaders({"X-One": "1", "X-Two": "2"}),
        starlette.datastructures.ImmutableMultiDict([("X-One", "1"), ("X-Two", "2")]),
        PAIRS,
        tuple(PAIRS),
        iter(PAIRS),
    ],
)
def test_every_usual_form_becomes_the_same_list(headers: Any) -> None:
    assert header_list(headers) == PAIRS


def test_headers_of_litestar_give_their_own_list() -> None:
    in_scope = litestar.datastructures.MutableScopeHeaders({"headers": [(b"x-one", b"1")]})
    assert header_list(in_scope) == [(b"x-one", b"1")]
    assert header_list(litestar.datastructures.Headers({"X-One": "1"})) == [(b"x-one", b"1")]


def test_no_headers_are_an_empty_list() -> None:
    assert header_list(None) == header_list({}) == header_list([]) == []


def test_doubles_are_kept_in_order() -> None:
    cookies = CIMultiDict([("Set-Cookie", "a=1"), ("X", "y"), ("set-cookie", "b=2")])
    assert header_list(cookies) == [(b"set-cookie", b"a=1"), (b"x", b"y"), (b"set-cookie", b"b=2")]


def test_values_are_latin_1() -> None:
    assert header_list({"x": "é"}) == [(b"x", b"\xe9")]


def test_pairs_of_bytes_stay_as_they_are_but_not_the_same_list() -> None:
    pairs = [(b"X-Upper", b"1")]
    assert header_list(pairs) == pairs
    assert header_list(pairs) is not pairs
