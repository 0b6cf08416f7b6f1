"""Composable middleware for ASGI WebSockets.

The contract is in `wspipe.types.Middleware`; ready middlewares are in `wspipe_middlewares`.
"""

from wspipe.app import Handler, WebSocketApp, websocket_app
from wspipe.close_codes import CLOSE_CODES, CloseCode, is_sendable_code, known_code
from wspipe.connection import ASGIConnection
from wspipe.datastructures import Address, State
from wspipe.exceptions import (
    ClientDisconnected,
    ConnectionRejected,
    ImproperlyConfiguredException,
    ProtocolError,
    SentAfterClose,
    SerializationException,
    WebSocketDisconnect,
    WebSocketException,
    WSPipeException,
)
from wspipe.headers import HeadersInput
from wspipe.interceptors import Interceptor, on_receive, on_send, select
from wspipe.middleware import PipelineMiddleware
from wspipe.payload import truncate_reason
from wspipe.pipeline import Composable, Pipeline, StateValidation
from wspipe.serialization import Serializer, default_serializer
from wspipe.stepping import SteppedReceive
from wspipe.tally import Traffic, message_size
from wspipe.types import ASGIApp, Event, Middleware, Receive, Scope, Send
from wspipe.websocket import WebSocket

__all__ = [
    "CLOSE_CODES",
    "ASGIApp",
    "ASGIConnection",
    "Address",
    "ClientDisconnected",
    "CloseCode",
    "Composable",
    "ConnectionRejected",
    "Event",
    "Handler",
    "HeadersInput",
    "ImproperlyConfiguredException",
    "Interceptor",
    "Middleware",
    "Pipeline",
    "PipelineMiddleware",
    "ProtocolError",
    "Receive",
    "Scope",
    "Send",
    "SentAfterClose",
    "SerializationException",
    "Serializer",
    "State",
    "StateValidation",
    "SteppedReceive",
    "Traffic",
    "WSPipeException",
    "WebSocket",
    "WebSocketApp",
    "WebSocketDisconnect",
    "WebSocketException",
    "default_serializer",
    "is_sendable_code",
    "known_code",
    "message_size",
    "on_receive",
    "on_send",
    "select",
    "truncate_reason",
    "websocket_app",
]
