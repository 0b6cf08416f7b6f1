"""How a conversation ended, and what tells so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from wspipe.close_codes import known_code
from wspipe.exceptions import (
    ClientDisconnected,
    ProtocolError,
    WebSocketDisconnect,
    WSPipeException,
)
from wspipe.state_machine import DISCONNECT

if TYPE_CHECKING:
    from wspipe.types import Event


@dataclass(slots=True)
class Eviction:
    """A close from the middle, which takes the connection from the application.

    It counts from the moment it is asked for, also where the server takes the close later or never.
    Only where the server refuses it does a later one take its place.
    """

    code: int
    reason: str
    by: object
    refused: bool = False

    @property
    def event(self) -> Event:
        """What the application receives from then on."""
        return {"type": DISCONNECT, "code": self.code, "reason": self.reason}

    @property
    def error(self) -> ClientDisconnected:
        """What its sends raise from then on."""
        return ClientDisconnected(detail="a middleware closed the connection", code=self.code)


@dataclass(slots=True)
class Ending:
    """How a conversation ended: the first final record stays, a provisional one gives way."""

    code: int | None = None
    reason: str = ""
    by: object = None
    final: bool = False
    eviction: Eviction | None = None
    _disconnect: tuple[int, str] | None = field(default=None, repr=False)
    _loss_code: int | None = field(default=None, repr=False)
    _failures: tuple[Exception, ...] = field(default=(), repr=False)

    @property
    def lost(self) -> bool:
        """Whether a send has failed because the client is gone."""
        return self._loss_code is not None

    def record(self, code: object, reason: object, by: object, *, final: bool = True) -> None:
        """Note an end, unless a final one is noted.

        Code and reason come from events that may be malformed where not strict; FastAPI, for one,
        gives the errors of its parameters as a list.
        """
        if not self.final:
            self.code = int(code) if isinstance(code, int) else None
            self.reason = reason if isinstance(reason, str) else str(reason)
            self.by, self.final = by, final

    def withdraw(self) -> None:
        """Take the record back, where it did not happen, and go by what is known besides."""
        self.code, self.reason, self.by, self.final = None, "", None, False
        eviction = self.eviction
        if eviction is not None and not eviction.refused and not self.lost:
            self.record(eviction.code, eviction.reason, eviction.by)
        elif self._disconnect is not None:
            code, reason = self._disconnect
            self.record(code, reason, who_closed(code))
        elif self.lost:
            self.record(self._loss_code, "", "unknown", final=False)
        elif eviction is not None:
            self.record(eviction.code, eviction.reason, eviction.by, final=False)

    def evict(self, eviction: Eviction) -> Eviction:
        """Note that a middleware takes the connection; give the eviction that stands."""
        if self.eviction is None or self.eviction.refused:
            self.eviction = eviction
            self.record(eviction.code, eviction.reason, eviction.by)
        return self.eviction

    def note_disconnect(self, event: Event) -> None:
        """Note the end that the server tells of."""
        code, reason = disconnect_code(event), event.get("reason") or ""
        self._disconnect = code, reason
        self.record(code, reason, who_closed(code))

    def note_failure(self, error: Exception) -> None:
        """Note a send that failed for no fault of the application's.

        The code may still be corrected by the disconnect event that follows.
        """
        # The last few are enough to recognise; an application may go on sending for ever.
        self._failures = (*self._failures[-7:], error)
        if is_loss(error):
            self._loss_code = error.code if isinstance(error, WebSocketDisconnect) else 1006
            self.record(self._loss_code, "", "unknown", final=False)

    def is_reported_by(self, error: BaseException) -> bool:
        """Tell whether an exception of the application only reports that the conversation is over.

        That is our own `WebSocketDisconnect`, the server's error of a failed send, a framework's
        disconnect exception that carries the close code (1006 is what Starlette makes of a failed
        send), and a group of nothing else.
        """
        if self._disconnect is None and self.eviction is None and not self._failures:
            return False
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            return all(map(self.is_reported_by, group.exceptions))
        if any(error is failure for failure in self._failures):
            return True
        if isinstance(error, WSPipeException):
            return isinstance(error, WebSocketDisconnect) and not isinstance(error, ProtocolError)
        codes = [1006]
        if self._disconnect is not None:
            codes.append(self._disconnect[0])
        if self.eviction is not None:
            codes.append(self.eviction.code)
        return "Disconnect" in type(error).__name__ and getattr(error, "code", None) in codes


def is_loss(error: BaseException) -> bool:
    """Tell whether a server's error says that the client is gone.

    It is an `OSError`, as ASGI has it, save for Daphne, which lets Autobahn's own error through.
    """
    kind = type(error)
    autobahn = (kind.__module__, kind.__name__) == ("autobahn.exception", "Disconnected")
    return autobahn or isinstance(error, OSError)


def who_ended(error: BaseException | None) -> str:
    """Tell which side ends a conversation, by what ended its application.

    What is no `Exception` is the cancellation, by which the server stops the application.
    """
    return "application" if error is None or isinstance(error, Exception) else "server"


def who_closed(code: object) -> str:
    """Tell from a disconnect event's code which side closed, or `"unknown"` where it does not."""
    known = known_code(code)
    return "unknown" if known is None else known.closed_by


def disconnect_code(event: Event) -> int:
    """Read the code of a disconnect event; without one it is 1005, as ASGI has it."""
    code: int | None = event.get("code")
    return 1005 if code is None else code
