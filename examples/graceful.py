"""Serve on Hypercorn, and drain before it stops; here two clients are there when a SIGTERM comes.

Run it from this folder:

    python graceful.py
"""

from __future__ import annotations

import os
import signal
from socket import create_server

import anyio
from hypercorn.asyncio import serve
from hypercorn.config import Config
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from wspipe import WebSocket, websocket_app
from wspipe_middlewares import Drain

drain = Drain(deadline=5)


@websocket_app(pipeline=drain)
async def app(socket: WebSocket) -> None:
    async for text in socket.iter_text():
        await socket.send_text(f"{text}: begun")
        await anyio.sleep(0.5)
        await socket.send_text(f"{text}: done")


async def until_drained() -> None:
    """Wait for a signal, then close what is open; when this returns, the server stops."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            await drain.drain()
            return


async def main(bind: str) -> None:
    await serve(app, Config.from_mapping(bind=bind), shutdown_trigger=until_drained)


# Below is the trial. In its place a service has: anyio.run(main, "0.0.0.0:8000")


async def visit(url: str) -> None:
    """Have ann idle and bob's message handled when the signal comes, and tell what they hear."""
    async with connect(url) as ann, connect(url) as bob:
        await bob.send("work")
        print("bob hears", await bob.recv())
        os.kill(os.getpid(), signal.SIGTERM)
        for name, client in {"ann": ann, "bob": bob}.items():
            try:
                async for text in client:
                    print(name, "hears", text)
            except ConnectionClosed:
                print(name, "is closed:", client.close_code, client.close_reason)


async def trial() -> None:
    listener = create_server(("127.0.0.1", 0))
    url = "ws://{}:{}/".format(*listener.getsockname())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(main, f"fd://{listener.detach()}")
        await visit(url)
    done = await drain.drain()  # the second time, it tells what was done
    print(f"closed {done.closed}, interrupted {done.interrupted}, ended {done.ended}")


anyio.run(trial)
