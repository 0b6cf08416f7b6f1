"""The small values that a connection hands out."""

from __future__ import annotations

import copy
import pickle

import pytest

from wspipe import Address, State


def test_an_address_is_a_pair_with_names() -> None:
    address = Address("127.0.0.1", 80)
    assert (address.host, address.port) == address == ("127.0.0.1", 80)


def test_the_state_has_its_keys_as_attributes_and_writes_through() -> None:
    values = {"a": 1}
    state = State(values)
    assert state.a == state["a"] == 1
    state.b = 2
    state["c"] = 3
    assert values == {"a": 1, "b": 2, "c": 3}
    del state.a
    del state["b"]
    assert values == {"c": 3}
    assert (len(state), list(state), state) == (1, ["c"], {"c": 3})


def test_what_is_not_in_the_state_is_an_attribute_error_that_says_what_is() -> None:
    state = State({"a": 1})
    with pytest.raises(AttributeError, match=r"no 'b'; it has \['a'\]"):
        _ = state.b
    with pytest.raises(AttributeError, match=r"no 'b'; it has \['a'\]"):
        del state.b
    with pytest.raises(KeyError):
        _ = state["b"]
    assert not hasattr(state, "b")
    assert state.get("b") is None


def test_a_key_that_is_also_a_method_is_reached_as_an_item() -> None:
    state = State({"items": "mine"})
    assert state["items"] == "mine"
    assert list(state.items()) == [("items", "mine")]


def test_the_state_can_be_copied_and_shown() -> None:
    state = State({"a": [1]})
    assert repr(state) == "State({'a': [1]})"
    for copied in (copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))):  # noqa: S301
        assert isinstance(copied, State)
        assert copied == state
    deep = copy.deepcopy(state)
    deep.a.append(2)
    assert state.a == [1]
