"""The pattern of the route that serves a connection, such as `/rooms/{room}`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from wspipe_middlewares.headers import header
from wspipe_middlewares.names import ROUTE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wspipe import ASGIConnection, Scope

_LEFT_BY_ROUTERS: Final = frozenset({"app_root_path", "endpoint", "path_template", "route"})
_MOST_WRAPPERS: Final = 32
_PORT: Final = re.compile(r":[0-9]*$")


def route_of(connection: ASGIConnection) -> str | None:
    """Give the pattern of a connection's route, `None` where nothing tells.

    It is what the scope has as `wspipe.route`, or else what Litestar, FastAPI or Starlette chose.
    Ask when they have chosen: from the answer to the handshake on.
    """
    scope = connection.scope
    if ROUTE_KEY in scope:
        route = scope[ROUTE_KEY]
    elif _LEFT_BY_ROUTERS.isdisjoint(scope):
        route = None
    else:
        try:
            route = _pattern_in(scope)
        except Exception:  # noqa: BLE001 - routers are of many kinds, and no route is no harm
            route = None
    return route if isinstance(route, str) else None


def _pattern_in(scope: Scope) -> str | None:
    """Put together what frameworks leave: the route, behind the mounts that it lies in."""
    routes = _routes_in(scope.get("router"))
    prefix = ""
    if "app_root_path" in scope:
        mounted_at = scope.get("root_path", "").removeprefix(scope["app_root_path"])
        found = _find_mount(scope, routes, f"{mounted_at}/")
        if found is None:
            return None  # half a pattern would be that of another route
        prefix, routes = found
    route, endpoint = scope.get("route"), scope.get("endpoint")
    if route is None and endpoint is not None:  # older versions of Starlette leave no route
        route = next((each for each in routes if getattr(each, "endpoint", None) is endpoint), None)
    path = getattr(route, "path", "") if hasattr(route, "endpoint") else ""
    return f"{prefix}{scope.get('path_template') or path}" or None


def _find_mount(scope: Scope, routes: Iterable[Any], path: str) -> tuple[str, Iterable[Any]] | None:
    """Find the mounts of Starlette that a path leads through, to its end.

    Returns:
        Their pattern, and the routes that lie in the last; `None` where there are none.
    """
    for route in routes:
        if hasattr(route, "endpoint"):
            continue
        inner, regex = _routes_in(route), getattr(route, "path_regex", None)
        found = None
        if regex is None:
            if _is_host_of(route, scope):
                found = _find_mount(scope, inner, path)  # it takes nothing from the path
        elif match := regex.match(path):
            rest = f"/{match['path']}"
            found = ("", inner) if rest == "/" else _find_mount(scope, inner, rest)
        if found is not None:
            return f"{getattr(route, 'path', '')}{found[0]}", found[1]
    return None


def _is_host_of(route: Any, scope: Scope) -> bool:
    regex = getattr(route, "host_regex", None)
    host = _PORT.sub("", header(scope, "host") or "")
    return regex is not None and regex.match(host.lower()) is not None


def _routes_in(app: Any) -> Iterable[Any]:
    """Find the routes in an application, behind the middlewares around it."""
    for _ in range(_MOST_WRAPPERS):
        if app is None:
            break
        routes: Iterable[Any] | None = getattr(app, "routes", None)
        if routes:
            return routes
        app = getattr(app, "app", None)
    return ()
