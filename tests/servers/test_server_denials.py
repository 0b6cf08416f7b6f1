from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.conftest import Server, Visit

pytestmark = pytest.mark.asyncio

EXTENSION = "websocket.http.response"


async def test_a_denial_carries_a_response_where_the_server_can(visit: Visit) -> None:
    async with asyncio.timeout(10):
        response = await visit.refusal("deny")
    report = await visit.report()
    assert (EXTENSION in report["extensions"]) == (visit.server.name != "daphne")
    if EXTENSION in report["extensions"]:
        assert (response.status_code, response.body) == (451, b"not in this country")
        assert response.headers["x-answer"] == "no"
    else:
        assert (response.status_code, response.body) == (403, b"")
    assert report["status"] == response.status_code
    assert report["ending"][2] == "application"
    assert report["error"] is None


async def test_a_denial_in_parts(server: Server) -> None:
    visit = server.visit("plain")
    async with asyncio.timeout(10):
        response = await visit.refusal("deny_in_parts")
    report = await visit.report()
    if EXTENSION not in report["extensions"]:
        # The wire stage refuses it, as the specification has it; the server makes of that what
        # it makes of any error before the accept.
        assert response.status_code == 500
        assert "ProtocolError" in report["error"]
    elif server.name == "granian":
        # It takes the body of a denial in one event only, and raises for a first part.
        assert (response.status_code, response.body) == (403, b"")
        assert "RuntimeError" in report["error"]
    else:
        assert (response.status_code, response.body) == (451, b"not in this country")
        assert report["error"] is None


async def test_a_rejection_before_the_application_runs(visit: Visit) -> None:
    async with asyncio.timeout(10):
        response = await visit.refusal("rejected")
    report = await visit.report()
    if EXTENSION in report["extensions"]:
        assert (response.status_code, response.headers["retry-after"]) == (429, "3")
        assert response.body == f"no room for {visit.name}".encode()
        assert report["ending"] == [None, "", "Turnstile"]
    else:
        assert (response.status_code, response.body) == (403, b"")
        assert report["ending"] == [1008, "", "Turnstile"]
    assert report["status"] == response.status_code
    assert report["error"] is None


async def test_a_handler_that_raises_before_the_accept_is_a_denial(server: Server) -> None:
    visit = server.visit("handlers")
    async with asyncio.timeout(10):
        response = await visit.refusal("fail_early")
    report = await visit.report()
    if EXTENSION in report["extensions"]:
        assert response.status_code == 500
        assert report["ending"] == [None, "", "application"]
    else:
        # What denies there is a close, which has a code.
        assert response.status_code == 403
        assert report["ending"] == [1011, "", "application"]
    assert report["status"] == response.status_code
    assert report["error"] == f"RuntimeError('broken on purpose: {visit.name}')"
    await server.logged(f"broken on purpose: {visit.name}")


async def test_an_application_that_raises_before_the_accept_is_left_to_the_server(
    server: Server,
) -> None:
    visit = server.visit("plain")
    async with asyncio.timeout(10):
        response = await visit.refusal("fail_early")
    # Granian answers 403 to whatever ends without an accept.
    assert response.status_code == (403 if server.name == "granian" else 500)
    report = await visit.report()
    assert report["ending"] == [None, "", "application"]
    await server.logged(f"broken on purpose: name={visit.name}")
