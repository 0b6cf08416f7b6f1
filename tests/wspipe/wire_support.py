"""A naive model of a conversation, for the random walk of test_state_machine_model.py.

It knows nothing of the engine, nor of its table. It is one `if` after the other, read from the
specification and from what the documentation promises.
"""

from __future__ import annotations

from typing import Any


def as_code(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else str(value or "")


class Model:
    """What is known of a conversation, and what follows from the next event."""

    def __init__(self, *, strict: bool, extensions: set[str]) -> None:
        self.strict = strict
        self.extensions = extensions
        self.announced = self.connected = self.disconnected = False
        self.answer = "none"
        self.evicted: tuple[int, str] | None = None
        self.refused: tuple[Any, str, Any] | None = None
        self.lost = False
        self.told: tuple[Any, str, Any] | None = None
        self.ended: tuple[Any, str, Any] | None = None
        self.status: int | None = None
        self.handshakes: list[str] = []
        self.counts = [0, 0, 0, 0]

    @property
    def ending(self) -> tuple[Any, str, Any]:
        if self.ended:
            return self.ended
        if self.told:
            return self.told
        if self.lost:
            return 1006, "", "unknown"
        return self.refused or (None, "", None)

    @property
    def state(self) -> str:
        if self.disconnected or self.lost or self.evicted or self.answer in {"closed", "rejected"}:
            return "disconnect"
        if not self.connected and self.answer == "none":
            return "init"
        return "receive" if self.counts[0] else "connect"

    def may_server(self) -> set[str]:
        if not self.connected:
            return {"websocket.connect"}
        if self.disconnected or self.answer in {"none", "denying", "rejected"}:
            return {"websocket.disconnect"}
        return {"websocket.receive", "websocket.disconnect"}

    def may_application(self) -> set[str]:
        denial = "websocket.http.response" in self.extensions
        if self.answer == "none":
            start = {"websocket.http.response.start"} if denial else set()
            return {"websocket.accept", "websocket.close"} | start
        if self.answer == "accepted":
            return {"websocket.send", "websocket.close"}
        if self.answer == "denying" and denial:
            return {"websocket.http.response.body"}
        return set()

    def is_extension(self, event: Any) -> bool:
        kind = event["type"]
        return kind in self.extensions or kind.split(".")[0] in self.extensions

    def refuses_server(self, event: Any, *, well_formed: bool) -> bool:
        passes = self.may_server()
        if not self.strict and not self.announced and not self.disconnected:
            passes |= {"websocket.receive", "websocket.disconnect"}
        return self.refuses(event, passes, well_formed=well_formed)

    def refuses_application(self, event: Any, *, well_formed: bool) -> bool:
        return self.refuses(event, self.may_application(), well_formed=well_formed)

    def refuses(self, event: Any, legal: set[str], *, well_formed: bool) -> bool:
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            return True
        if self.is_extension(event):
            return False
        return event["type"] not in legal or (self.strict and not well_formed)

    def server_sent(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        self.connected = self.connected or not self.is_extension(event)
        if kind == "websocket.connect":
            self.announced = True
        elif kind == "websocket.receive":
            self.count(0, event)
        elif kind == "websocket.disconnect":
            self.disconnected = True
            code = event.get("code")
            code = 1005 if code is None else code
            if code in (1000, 1001, 1005, 1010) or (isinstance(code, int) and code >= 3000):
                by = "client"
            else:
                by = "server" if code in (1012, 1013, 1014) else "unknown"
            self.told = self.told or (as_code(code), as_text(event.get("reason")), by)

    def application_sent(self, event: Any, fault: Exception | None) -> None:
        if isinstance(fault, OSError):
            self.lost = True
        if isinstance(fault, RuntimeError) or self.disconnected:
            return
        first, self.answer = self.answer == "none", self.answer_after(event)
        if fault:
            return
        kind = event["type"]
        if first and self.answer != "none":
            statuses = {"websocket.accept": 101, "websocket.close": 403}
            self.answered(kind, statuses.get(kind, event.get("status")))
        if kind == "websocket.send":
            self.count(1, event)
        elif kind == "websocket.close":
            code, reason = event.get("code", 1000), event.get("reason")
            self.ended = (as_code(code), as_text(reason), "application")
        elif kind == "websocket.http.response.body" and self.answer == "rejected":
            self.ended = (None, "", "application")

    def answer_after(self, event: dict[str, Any]) -> str:
        kind = event["type"]
        if kind == "websocket.accept":
            return "accepted"
        if kind == "websocket.close":
            return "rejected" if self.answer == "none" else "closed"
        if kind == "websocket.http.response.start":
            return "denying"
        if kind == "websocket.http.response.body" and not event.get("more_body", False):
            return "rejected"
        return self.answer

    def middleware_closed(self, code: int, reason: str, fault: Exception | None) -> None:
        first = self.answer == "none"
        self.evicted = (code, reason)
        if isinstance(fault, RuntimeError):
            self.refused = code, reason, "the guard"
            return
        self.answer = "closed" if self.answer == "accepted" else "rejected"
        if isinstance(fault, OSError):
            self.lost = True
        else:
            self.ended = (code, reason, "the guard")
        if first and not fault:
            self.answered("websocket.close", 403)

    def answered(self, kind: str, status: int | None) -> None:
        self.status = status
        self.handshakes.append(kind)

    def count(self, direction: int, event: dict[str, Any]) -> None:
        data = event.get("bytes")
        if data is None:
            data = (event.get("text") or "").encode("utf-8", "surrogatepass")
        self.counts[direction] += 1
        self.counts[direction + 2] += len(data)
