"""Every option of every middleware that comes with wspipe can be set from a file."""

from __future__ import annotations

import json
from dataclasses import MISSING
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

from wspipe.cli.describing import descriptions_of
from wspipe.config import Config, Registry
from wspipe.config.effective import effective
from wspipe_middlewares.recovery import Close
from wspipe_middlewares.tracing import JSONField

if TYPE_CHECKING:
    from pathlib import Path

    from wspipe import ASGIConnection, Event
    from wspipe.config import Plugin
    from wspipe_middlewares.rate_limit import Exceeded, Grant


class Value(NamedTuple):
    """A value that is not the default.

    Attributes:
        toml: As a file says it.
        python: As Python does.
        beside: Options that it needs beside it, as a file says them.
    """

    toml: str
    python: Any
    beside: str = ""


class OwnClock:
    @property
    def now(self) -> Any:
        return lambda: 0

    async def sleep(self, duration: int) -> None:
        """Wait no time at all."""


class OwnStore:
    async def take(self, *_: Any) -> Grant:
        raise NotImplementedError

    async def put_back(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError


def by_length(event: Event, connection: ASGIConnection) -> int:
    del connection
    return len(event["text"])


def by_path(connection: ASGIConnection) -> str:
    path: str = connection.scope["path"]
    return path


def still_welcome(connection: ASGIConnection) -> bool:
    return connection.has_wire


def let_pass(exceeded: Exceeded) -> Event:
    return exceeded.event


clock, store, logger = OwnClock(), OwnStore(), object()
meters, tracers = NoOpMeterProvider(), NoOpTracerProvider()


def named(name: str) -> Value:
    """Name an object of this module."""
    return Value(f'"{__name__}:{name}"', globals()[name])


ON = Value("true", python=True)
REQUIRED: dict[str, dict[str, Any]] = {
    "ConnectionLimit": {"total": 1},
    "RateLimit": {"rate": "20/second"},
}
NETWORKS = ("10.0.0.0/8", "unix")

VALUES: dict[str, dict[str, list[Value]]] = {
    "AuthDeadline": {
        "within": [Value("2.5", 2.5)],
        "recheck": [named("still_welcome")],
        "every": [Value("30", 30.0)],
        "on_recheck_error": [Value('"keep"', "keep")],
        "code": [Value("4401", 4401)],
    },
    "ConnectionLimit": {
        "total": [Value("5", 5)],
        "per_client": [Value("2", 2)],
        "per_user": [Value("1", 1)],
        "retry_after": [Value("30", 30)],
        "proxies": [Value('["10.0.0.0/8", "unix"]', NETWORKS)],
        "proxy_header": [Value('"forwarded"', "forwarded")],
        "ipv6_prefix": [Value("56", 56)],
    },
    "Drain": {
        "deadline": [Value("2.5", 2.5), Value("30", 30.0)],
        "spacing": [Value("0.25", 0.25)],
        "code": [Value("4000", 4000)],
        "reason": [Value('"back soon"', "back soon")],
    },
    "Logging": {
        "messages": [ON],
        "ratio": [Value("0.5", 0.5), Value("0", 0.0)],
        "preview": [Value("0", 0)],
        "headers": [Value('["origin", "user-agent"]', ("origin", "user-agent"))],
        "redact": [Value('["ticket"]', frozenset({"ticket"}))],
        "levels": [
            Value('{ 1006 = "debug", 4001 = "error" }', {1006: "debug", 4001: "error"}),
        ],
        "logger": [named("logger")],
    },
    "MessageSizeLimit": {
        "text_received": [Value("1", 1)],
        "binary_received": [Value("2", 2)],
        "text_sent": [Value("3", 3)],
        "binary_sent": [Value("4", 4)],
    },
    "Metrics": {
        "message_size": [ON],
        "process_duration": [ON],
        "send_duration": [ON],
        "close_codes": [Value("[4000, 4001]", frozenset({4000, 4001}))],
        "meter_provider": [named("meters")],
    },
    "OriginCheck": {
        "allow": [Value('["https://a.example"]', ("https://a.example",))],
        "same_origin": [Value("false", python=False, beside='missing = "allow"')],
        "missing": [Value('"allow"', "allow")],
    },
    "RateLimit": {
        "rate": [Value('"3 per 10 seconds"', "3 per 10 seconds")],
        "burst": [
            Value("40", 40),
            Value("[40, 500]", (40, 500), beside='rate = "20/second; 500/minute"'),
        ],
        "cost": [Value('"bytes"', "bytes"), named("by_length")],
        "key": [Value('"route"', "route"), named("by_path")],
        "on_limit": [Value('"drop"', "drop"), named("let_pass")],
        "max_delay": [Value("0.5", 0.5)],
        "name": [Value('"chat"', "chat")],
        "proxies": [Value('["10.0.0.0/8", "unix"]', NETWORKS)],
        "proxy_header": [
            Value('"forwarded"', "forwarded", beside='proxies = ["10.0.0.0/8"]'),
        ],
        "ipv6_prefix": [Value("56", 56)],
        "store": [Value('"redis://127.0.0.1:1/0"', "redis://127.0.0.1:1/0"), named("store")],
        "on_store_error": [Value('"deny"', "deny")],
        "store_timeout": [Value("0.5", 0.5)],
        "clock": [named("clock")],
        "meter_provider": [named("meters")],
    },
    "Recovery": {
        "codes": [
            Value('{ "builtins:LookupError" = 4000 }', {"builtins:LookupError": 4000}),
            Value(
                '{ "builtins:OSError" = { code = 4001, reason = "later", status = 503 } }',
                {"builtins:OSError": Close(4001, "later", 503)},
            ),
        ],
        "code": [Value("4500", 4500)],
        "reason": [Value('"sorry"', "sorry")],
        "status": [Value("503", 503)],
        "returned": [Value("4100", 4100)],
        "closes": [Value("{ 4500 = 1011 }", {4500: 1011})],
    },
    "SendQueue": {
        "max_messages": [Value("50", 50)],
        "max_bytes": [Value("65536", 65536)],
        "max_seconds": [Value("2.5", 2.5)],
        "on_overflow": [
            Value('"drop_oldest"', "drop_oldest"),
            Value('"drop_newest"', "drop_newest"),
        ],
        "key": [
            Value(f'"{__name__}:by_length"', by_length, beside='on_overflow = "latest"'),
        ],
        "code": [Value("4008", 4008)],
        "reason": [Value('"wake up"', "wake up")],
    },
    "StateValidation": {"strict": [ON]},
    "Timeouts": {
        **{
            limit: [Value("2.5", 2.5), Value("60", 60.0)]
            for limit in (
                "accept",
                "idle",
                "idle_received",
                "idle_sent",
                "lifetime",
                "handling",
                "send",
            )
        },
        "cancel": [ON],
        "codes": [Value("{ idle = 4000, lifetime = 1001 }", {"idle": 4000, "lifetime": 1001})],
    },
    "Tracing": {
        "span": [Value('"connection"', "connection")],
        "messages": [Value('"all"', "all"), Value('"receive"', "receive")],
        "ratio": [Value("0.5", 0.5)],
        "carrier": [
            Value(
                '{ use = "wspipe_middlewares.tracing:JSONField", name = "trace" }',
                JSONField("trace"),
                beside='messages = "all"',
            )
        ],
        "redact": [Value('["ticket"]', frozenset({"ticket"}))],
        "tracer_provider": [named("tracers")],
    },
}


def built_in() -> list[Plugin]:
    """Give the plugins of wspipe's own distribution."""
    return [
        plugin
        for plugin in Registry.installed()
        if plugin.entry_point.dist is not None and plugin.entry_point.dist.name == "wspipe"
    ]


def every_value() -> list[Any]:
    return [
        pytest.param(plugin, option, value, id=f"{plugin}.{option}={value.toml}")
        for plugin, options in VALUES.items()
        for option, values in options.items()
        for value in values
    ]


def test_the_middlewares_that_come_with_wspipe_are_all_in_the_table() -> None:
    assert [plugin.name for plugin in built_in()] == sorted(VALUES)


@pytest.mark.parametrize("plugin", built_in(), ids=lambda plugin: plugin.name)
def test_every_option_is_in_the_table(plugin: Plugin) -> None:
    assert sorted(VALUES[plugin.name]) == sorted(plugin.options)
    assert all(VALUES[plugin.name].values())


@pytest.mark.parametrize(("name", "option", "value"), every_value())
def test_an_option_set_from_a_file_is_what_python_would_give(
    name: str, option: str, value: Value, tmp_path: Path
) -> None:
    file = tmp_path / "wspipe.toml"
    required = "".join(
        f"{key} = {json.dumps(given)}\n"
        for key, given in REQUIRED.get(name, {}).items()
        if key != option and not value.beside.startswith(f"{key} =")
    )
    file.write_text(
        f"[[pipelines.main.middlewares]]\nuse = {name!r}\n{required}{value.beside}\n"
        f"{option} = {value.toml}\n",
        encoding="utf-8",
    )
    config = Config.load(file, environment={})
    (stage,) = config.stages
    given = getattr(stage.middleware, option)
    assert given == value.python
    assert type(given) is type(value.python)
    default = stage.options[option].default
    assert default is MISSING or given != default

    as_json = tmp_path / "effective.json"
    as_json.write_text(json.dumps(effective(config)), encoding="utf-8")
    again = Config.load(as_json, environment={})
    (same,) = again.stages
    assert same.middleware == stage.middleware
    for each in stage.options:
        assert getattr(same.middleware, each) == getattr(stage.middleware, each)


@pytest.mark.parametrize("plugin", built_in(), ids=lambda plugin: plugin.name)
def test_what_is_described_are_the_options_all_of_them(plugin: Plugin) -> None:
    descriptions = descriptions_of(plugin.middleware)
    assert sorted(descriptions) == sorted(plugin.options)
    assert all(descriptions.values())
