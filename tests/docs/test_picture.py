"""The picture of the state machine is of the table that the library goes by."""

from __future__ import annotations

from pathlib import Path

from wspipe.state_machine import RULES

PICTURE = Path(__file__).parents[2] / "docs" / "explanation" / "state-machine.svg"


def test_the_picture_has_every_state_and_event_of_the_table() -> None:
    picture = PICTURE.read_text(encoding="utf-8")
    for rule in RULES:
        for state in {rule.then, *rule.received, *rule.sent}:
            assert f">{state}<" in picture
        assert f">{rule.event.removeprefix('websocket.')}<" in picture
