"""The options of `RateLimit`, checked and put together."""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, cast

from wspipe import ImproperlyConfiguredException, message_size
from wspipe_middlewares.client import Proxies
from wspipe_middlewares.metrics.recorder import recorder_of
from wspipe_middlewares.options import check_function, check_seconds, refusal
from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.keys import NAMED, key_function, stored
from wspipe_middlewares.rate_limit.limiter import Limiter
from wspipe_middlewares.rate_limit.rate import parse
from wspipe_middlewares.rate_limit.redis import check_size
from wspipe_middlewares.rate_limit.redis_url import ServerAddress
from wspipe_middlewares.rate_limit.shared import MEANWHILE
from wspipe_middlewares.rate_limit.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection

    from wspipe import ASGIConnection, Event
    from wspipe_middlewares.rate_limit import RateLimit
    from wspipe_middlewares.rate_limit.limiter import Cost
    from wspipe_middlewares.rate_limit.rate import Limit

_COSTS: Final = ("messages", "bytes", "connections")
_POLICIES: Final = ("delay", "close", "drop", "raise")
_LONGEST_DELAY: Final = 3600


def limiter_of(config: RateLimit) -> Limiter:
    """Make what the connections of a `RateLimit` share.

    Raises:
        ImproperlyConfiguredException: An option makes no sense.
    """
    _check_choice("cost", config.cost, _COSTS, "a function of (event, connection)", 2)
    _check_choice("key", config.key, NAMED, "a function of the connection", 1)
    _check_choice("on_limit", config.on_limit, _POLICIES, "a function of an Exceeded", 1)
    _check_choice("on_store_error", config.on_store_error, MEANWHILE)
    check_seconds("max_delay", config.max_delay, most=_LONGEST_DELAY)
    check_seconds("store_timeout", config.store_timeout, least=0.001, most=_LONGEST_DELAY)
    if config.cost == "connections" and config.on_limit in {"drop", "raise"}:
        raise refusal(
            "on_limit", config.on_limit, "'delay', 'close' or a function where cost='connections'"
        )
    if config.key in {"route", "connection"} and config.cost == "connections":
        raise refusal("key", config.key, "'client', 'user' or a function where cost='connections'")
    prefix = config.ipv6_prefix
    if type(prefix) is not int or not 1 <= prefix <= 128:
        raise refusal("ipv6_prefix", prefix, "a number of bits from 1 to 128")
    name: Any = config.name
    if not isinstance(name, str):
        raise refusal("name", name, "a text")
    limits = parse(config.rate, config.burst)
    patience = round(config.max_delay * SECOND) if config.on_limit == "delay" else 0
    text = "; ".join(map(str, limits))
    name = name or text
    recorder = recorder_of(config.meter_provider)
    store_name = _check_store(config.store, limits, patience)
    return Limiter(
        name=name,
        limits=limits,
        text=text,
        prefix=f"wspipe:{stored(name)}:{_signature(config, limits)}:",
        key_of=key_function(
            config.key, Proxies.of(config.proxies, config.proxy_header), config.ipv6_prefix
        ),
        cost_of=_cost_function(config.cost),
        on_limit=config.on_limit,
        patience=patience,
        clock=config.clock,
        decisions=recorder.decisions(name),
        recorder=recorder,
        # A connection is in one process only.
        store=None if config.key == "connection" else config.store,
        store_name=store_name,
        on_store_error=config.on_store_error,
        store_timeout=config.store_timeout,
    )


def _cost_function(cost: str | Cost) -> Cost | None:
    if cost == "bytes":
        # What is empty counts too, or else it could come without end.
        return lambda event, _: message_size(event) or 1
    if isinstance(cost, str):
        return None

    def checked_cost(event: Event, connection: ASGIConnection) -> int:
        value: Any = cost(event, connection)
        if isinstance(value, int) and value >= 0:
            return value
        raise ImproperlyConfiguredException(
            detail=f"the cost function {cost!r} returned {value!r}; it must return a whole number "
            "of tokens, 0 or more"
        )

    return checked_cost


def _check_store(store: object, limits: tuple[Limit, ...], patience: int) -> str:
    """Refuse what is no store; name one that is, without its password."""
    if isinstance(store, str):
        check_size(limits, patience)
        return str(ServerAddress.parse(store))
    if store is not None and not isinstance(store, Store):
        raise refusal(
            "store", store, "the URL of a server, or an object with async take and put_back"
        )
    return type(store).__name__


def _signature(config: RateLimit, limits: tuple[Limit, ...]) -> str:
    """Tell one configuration from another, the same in every process."""
    names = [_told_apart_by(each) for each in (config.cost, config.key, config.ipv6_prefix)]
    text = " ".join([*(f"{limit}+{limit.burst}" for limit in limits), *names])
    return blake2b(text.encode(), digest_size=4).hexdigest()


def _told_apart_by(option: object) -> str:
    if isinstance(option, str | int):
        return str(option)
    while isinstance(option, partial):
        option = cast("partial[object]", option).func
    # Another object that is called is told by its class.
    named: Any = option if hasattr(option, "__qualname__") else type(option)
    return f"{named.__module__}.{named.__qualname__}"


def _check_choice(
    option: str, given: object, known: Collection[str], function: str = "", parameters: int = 0
) -> None:
    if isinstance(given, str) and given in known:
        return
    if function and callable(given):
        check_function(option, given, function, parameters, may_be_async=option == "on_limit")
        return
    choices = ", ".join(map(repr, known))
    raise refusal(option, given, f"one of {choices}" + (f", or {function}" if function else ""))
