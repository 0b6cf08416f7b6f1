"""Running a pipeline's resources with the server's lifespan (ASGI lifespan 2.0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wspipe.types import ASGIApp, Event, Receive, Scope, Send


class Resources(Protocol):
    """What is started with the server and shut down with it, such as a `Pipeline`."""

    async def startup(self) -> None:
        """Start."""
        ...

    async def shutdown(self) -> None:
        """Shut down."""
        ...


async def run_around(
    app: ASGIApp, pipeline: Resources, scope: Scope, receive: Receive, send: Send
) -> None:
    """Run an application's lifespan with the pipeline's resources around it.

    They start before the application hears of the startup, and shut down after it has answered the
    shutdown. An application that knows no lifespan raises, as ASGI has it; then they open lazily.

    Args:
        app: The application.
        pipeline: The pipeline; its failure at startup is the server's `lifespan.startup.failed`.
        scope: The lifespan scope.
        receive: Gives lifespan events.
        send: Takes the answers.
    """
    started = False

    async def wrapped_receive() -> Event:
        nonlocal started
        event = await receive()
        if event["type"] == "lifespan.startup":
            try:
                await pipeline.startup()
            except BaseException as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                raise
            started = True
        return event

    async def wrapped_send(event: Event) -> None:
        if event["type"] != "lifespan.startup.complete":
            await shut_down()
        await send(event)

    async def shut_down() -> None:
        nonlocal started
        if started:
            started = False
            await pipeline.shutdown()

    try:
        await app(scope, wrapped_receive, wrapped_send)
    finally:
        await shut_down()


async def answer(_: Scope, receive: Receive, send: Send) -> None:
    """Be the lifespan of an application that has none of its own.

    Args:
        _: The lifespan scope, which says nothing that matters here.
        receive: Gives lifespan events.
        send: Takes the answers.
    """
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
