"""`Recovery`: one end for an application that fails, whatever the server."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - configuration reads the types
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

from wspipe import ASGIConnection, Composable, Receive, Send
from wspipe_middlewares.options import check_close_code, check_mapping, check_reason
from wspipe_middlewares.recovery.application_close import CloseTable
from wspipe_middlewares.recovery.close import Close, check_status
from wspipe_middlewares.recovery.connection import RecoveredConnection
from wspipe_middlewares.recovery.errors import ErrorClass, ErrorTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wspipe import Middleware

__all__ = ["Close", "Recovery"]


@dataclass(frozen=True, slots=True)
class Recovery(Composable):
    """End the conversation where the application fails to, alike on every server.

    What the application raises becomes a close after the accept, and a denial before it. The client
    is told the code and the reason that stand here, never the exception's text.

    An exception in `codes` is handled: one line at level info on the logger `wspipe` has its type
    and text, and it goes no further. So is a `WebSocketException`, which closes with its own code
    unless that is 1011. Any other closes with `code` and is raised on, so that the server's log and
    error trackers have it. The nearest class decides, as in an `except`. An exception group is
    handled where all in it are, and closes as its first. That the client has left is no failure:
    what only reports it goes no further either.

    A return without a close closes with `returned`; without an answer to the handshake it is denied
    as a failure. A cancellation, by which a server stops the application, closes with 1001, going
    away (RFC 6455 section 7.4.1).

    Where a framework closes by itself, as Litestar does after every exception, its code is kept
    unless `closes` has it. A reason that does not fit into the frame is cut at a character (RFC
    6455 section 5.5), and one that is no text, such as FastAPI's list of invalid parameters, is
    left out.

    Daphne takes the codes 1000 and 3000 to 4999 only. There an exception whose code it refuses is
    raised on, from which Daphne makes 1011.

    # Order

    Put it behind the observers, so that they see the end that it makes.

    Args:
        codes: What handled exceptions become, by class: a close code, or a `Close`, which has a
            reason and a status too. A file names the class as `module:Name`. To have `Exception`
            in it would hide every fault of the application; for those there is `code`.
        code: The close code for all other exceptions; by default 1011, internal error (RFC 6455
            section 7.4.1).
        reason: The close reason for them, at most 123 bytes in UTF-8.
        status: The HTTP status of a denial, 400 to 599, where the server has the denial response.
            Elsewhere, as on Daphne, the server is left to answer 500 to what is raised on, and
            answers 403 where the exception is handled.
        closes: What becomes of a close that the application or its framework sends, by its code: a
            close code, or a `Close`. Its own reason is dropped.
        returned: The close code where the application returns without a close.

    Raises:
        ImproperlyConfiguredException: An option makes no sense.
    """

    codes: Mapping[ErrorClass, int | Close] = field(
        default_factory=dict["ErrorClass", "int | Close"], hash=False
    )
    _: KW_ONLY
    code: int = 1011
    reason: str = ""
    status: int = 500
    closes: Mapping[int, int | Close] = field(default_factory=dict[int, "int | Close"], hash=False)
    returned: int = 1000
    _errors: ErrorTable = field(init=False, repr=False, compare=False)
    _closes: CloseTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work; look the classes up."""
        check_mapping("codes", self.codes)
        check_mapping("closes", self.closes)
        check_close_code("code", self.code)
        check_reason("reason", self.reason)
        check_status("status", self.status)
        check_close_code("returned", self.returned)
        object.__setattr__(self, "_errors", ErrorTable(self.codes))
        object.__setattr__(self, "_closes", CloseTable(self.closes))

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Watch how the application ends."""
        recovered = RecoveredConnection(connection, send, self, self._errors, self._closes)
        return receive, recovered.send

    def review(self, before: Sequence[Middleware], behind: Sequence[Middleware]) -> Iterator[str]:
        """Advise on its place in a pipeline: see `wspipe.Middleware`."""
        del before
        for other in behind:
            if getattr(other, "observes", False):
                name = type(other).__name__
                yield f"ends connections after {name} has told their end; put it behind {name}"
        if any(isinstance(other, Recovery) for other in behind):
            yield "never comes into play: another Recovery behind it ends every connection first"
