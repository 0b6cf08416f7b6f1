"""The tables in the documentation are what the servers do."""

from __future__ import annotations

import sys

import pytest
from docs.servers.generate import FILE, tables
from docs.servers.scenarios import SCENARIOS
from docs.servers.table import Unexplained, markdown

from tests.servers.conftest import COMMANDS


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the tables are of the servers on Python 3.11"
)
def test_the_tables_are_what_the_servers_do() -> None:
    assert tables().splitlines() == FILE.read_text(encoding="utf-8").splitlines()


def results_with(title: str, servers: tuple[str, ...], client: str) -> str:
    """Make tables of servers that all do the same, but for some in one scenario."""
    titles = [*(scenario.title for scenario in SCENARIOS), "the server shuts down"]
    results = {
        (server, each, style): ("alike", "nothing")
        for server in COMMANDS
        for each in titles
        for style in ("bare", "wspipe")
    }
    for server in servers:
        results[server, title, "wspipe"] = client, "nothing"
    return markdown(results)


def test_a_difference_that_nobody_explains_is_an_error() -> None:
    with pytest.raises(Unexplained, match="raises before the accept, client"):
        results_with("raises before the accept", ("daphne",), "403")


def test_a_note_on_what_is_no_difference_is_an_error() -> None:
    with pytest.raises(Unexplained, match="denies with status 451"):
        results_with("raises before the accept", (), "")
