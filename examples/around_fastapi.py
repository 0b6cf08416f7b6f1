"""Put a pipeline around an application of FastAPI, with a dependency and a validated parameter.

Run it from this folder:

    uvicorn around_fastapi:app
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, WebSocket, WebSocketException

from wspipe import PipelineMiddleware
from wspipe_middlewares import Logging, Recovery

MEMBERS = {"s3cret": "ada"}
api = FastAPI()


async def member(token: str = "") -> str:
    """Tell whose token it is; a stranger is not let in."""
    if token not in MEMBERS:
        raise WebSocketException(4003, "nobody has this token")
    return MEMBERS[token]


@api.websocket("/rooms/{number}")
async def room(websocket: WebSocket, number: int, name: Annotated[str, Depends(member)]) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{name} in room {number}: {text}")


app = PipelineMiddleware(api, pipeline=Logging() | Recovery())
