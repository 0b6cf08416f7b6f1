from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

EXACT = "document.getElementById('tally-check').dataset.exact === 'true'"


def say(tab: Any, name: str, text: str) -> None:
    tab.fill("name", name)
    tab.fill("message", text)
    tab.click("send")


def test_two_tabs_chat(new_tab: Callable[[], Any]) -> None:
    ada, grace = new_tab(), new_tab()
    ada.wait_for_text("room", "2 tabs")
    say(ada, "Ada", "hello :)")
    for tab in (ada, grace):
        tab.wait_for_text("messages", "hello 🙂")
        assert tab.text("messages") == "Adahello 🙂"
    say(grace, "Grace", "hello back")
    ada.wait_for_text("messages", "Gracehello back")


def test_what_people_say_is_never_markup(new_tab: Callable[[], Any]) -> None:
    tab = new_tab()
    markup = "<img src=x onerror=\"document.title='broken'\"><b>bold</b>"
    say(tab, f"Ada{markup}", markup)
    tab.wait_for_text("messages", "<b>bold</b>")
    assert tab.text("messages") == f"Ada{markup}{markup}"
    assert tab.evaluate("document.querySelectorAll('#messages :not(li, strong)').length") == 0
    assert tab.evaluate("document.title") == "wspipe demo"


def test_the_panel_shows_what_the_pipeline_knows(new_tab: Callable[[], Any]) -> None:
    tab = new_tab()
    tab.wait("document.getElementById('connection-id').textContent.match(/^[0-9a-f]{16}$/)")
    tab.wait_for_text("connection-state", "connect")
    tab.wait_for_text("messages-sent", "2")
    assert tab.text("messages-received") == "0"
    say(tab, "Ada", "hello")
    tab.wait_for_text("connection-state", "receive")
    assert tab.text("messages-received") == "1"
    tab.wait(EXACT)
    assert "on_receive(smile)" in tab.text("stages")


def test_an_illegal_event_is_refused(new_tab: Callable[[], Any]) -> None:
    tab = new_tab()
    tab.click("illegal")
    tab.wait_for_text("refusal", "ProtocolError: the application sent 'websocket.accept'")
    say(tab, "Ada", "still here")
    tab.wait_for_text("messages", "still here")


def test_a_flood_is_counted_exactly(new_tab: Callable[[], Any]) -> None:
    tab = new_tab()
    tab.click("flood")
    tab.wait_for_text("flood-result", "counted 1,000 messages there and 1,000 back in ")
    tab.wait(EXACT)
    assert tab.text("messages-received") == "1,000"
    assert tab.text("messages-sent") == "1,002"
    assert tab.text("flood-result").endswith(" s, all in order.")
    assert tab.evaluate("document.getElementById('messages').children.length") == 0


def test_the_page_shows_how_the_limit_delays_a_flood(new_tab: Callable[[], Any]) -> None:
    tab = new_tab()
    assert tab.text("limit") == "A limit lets 200 pass at once, and the others at 300/second."
    tab.wait("document.getElementById('flood-live').hidden")
    tab.click("flood")
    # While it goes on.
    tab.wait("element('flood').disabled && parseInt(element('flood-delayed').textContent) > 0")
    tab.wait("element('flood').disabled && parseInt(element('flood-rate').textContent) > 0")
    tab.wait("0 < element('flood-progress').position && element('flood-progress').position < 1")
    tab.wait_for_text("flood-result", "all in order")
    assert tab.text("flood-back") == "1,000 of 1,000"
    delayed = re.fullmatch(r"(\d+) by the limit", tab.text("flood-delayed"))
    assert delayed is not None
    assert 0 < int(delayed[1]) <= 800
    rate = tab.text("flood-rate")
    assert re.fullmatch(r"[1-9]\d* a second; the limit is 300/second", rate)
    # And then it stands.
    say(tab, "Ada", "that was it")
    tab.wait_for_text("messages-received", "1,001")
    assert tab.text("flood-rate") == rate


def test_a_flood_that_the_connection_does_not_outlive_is_given_up(
    new_tab: Callable[[], Any],
) -> None:
    tab = new_tab()
    tab.click("flood")
    tab.wait("parseInt(element('flood-back').textContent) > 0")
    tab.evaluate("connection.socket.close(1000)")
    tab.wait_for_text("flood-result", "The connection ended before the flood did.")
    tab.click("connect")
    tab.wait("document.body.dataset.state === 'open' && element('flood-live').hidden")
    assert tab.text("flood-result") == ""
    tab.click("flood")
    tab.wait_for_text("flood-result", "counted 1,000 messages there and 1,000 back in ")


def test_a_disconnect_shows_how_the_connection_ended(new_tab: Callable[[], Any]) -> None:
    tab = new_tab()
    first = tab.text("connection-id")
    tab.click("disconnect")
    tab.wait_for_text("end-by", "client")
    assert tab.text("end-code") == "1000"
    assert tab.text("end-reason") == "the tab disconnected"
    tab.wait_for_text("connection-state", "disconnect")
    assert tab.text("status") == "not connected"

    tab.click("connect")
    tab.wait("document.body.dataset.state === 'open'")
    tab.wait(f"document.getElementById('connection-id').textContent !== {first!r}")
    say(tab, "Ada", "back again")
    tab.wait_for_text("messages", "back again")


def test_nothing_can_be_pressed_before_the_demo_has_said_welcome(
    new_tab: Callable[[], Any],
) -> None:
    tab = new_tab()
    tab.click("disconnect")
    tab.wait("!document.getElementById('connect').disabled")
    tab.evaluate(  # all in one turn, so that nothing comes in between
        "document.getElementById('connect').click(); var held = [];"
        "connection.socket.onmessage = (event) => held.push(event.data);"
        "new Promise((resolve) => { connection.socket.onopen = () => resolve(); })"
    )
    assert tab.evaluate("document.body.dataset.state") == "connecting"
    assert tab.evaluate("document.getElementById('flood').disabled")
    tab.evaluate(
        "connection.socket.onmessage = (event) => connection.take(event.data);"
        "held.forEach((text) => connection.take(text))"
    )
    tab.click("flood")
    tab.wait_for_text("flood-result", "counted 1,000 messages there")


def test_a_stopped_demo_shows_code_1001(new_tab: Callable[[], Any], demo: Any) -> None:
    tab = new_tab()
    demo.process.terminate()
    tab.wait_for_text("end-code", "1001")
    assert tab.text("end-reason") == "the demo was stopped"
    tab.wait("document.getElementById('end-by').textContent !== '…'")
    # It answers on connections that are kept alive until it has ended.
    assert tab.text("end-by") in {"server", "unknown: the demo does not answer"}


def test_a_demo_that_was_killed_is_said_not_to_answer(
    new_tab: Callable[[], Any], demo: Any
) -> None:
    tab = new_tab()
    demo.process.kill()
    tab.wait_for_text("end-code", "1006")
    tab.wait_for_text("end-by", "the demo does not answer")


def test_the_page_logs_no_error(new_tab: Callable[[], Any]) -> None:
    tab = new_tab()
    tab.call("Log.enable")
    tab.call("Runtime.enable")
    tab.click("flood")
    tab.wait_for_text("flood-result", "counted")
    tab.click("disconnect")
    tab.wait_for_text("end-by", "client")
    assert tab.complaints() == []


def test_a_missing_browser_skips_with_a_reason(
    browser_finder: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser found: none of chromium"):
        browser_finder()


def test_a_missing_browser_fails_in_ci(
    browser_finder: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no browser found: none of chromium"):
        browser_finder()
