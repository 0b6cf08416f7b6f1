"""The pattern of the route that serves a connection, such as `/rooms/{room}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wspipe_middlewares.names import ROUTE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wspipe import ASGIConnection, Scope

_MOST_WRAPPERS: Final = 32


def route_of(connection: ASGIConnection) -> str | None:
    """Give the pattern of a connection's route, `None` where nothing tells.

    It is what the scope has as `wspipe.route`, or else what Litestar, FastAPI or Starlette chose.
    Ask when they have chosen: from the answer to the handshake on.
    """
    scope = connection.scope
    if ROUTE_KEY in scope:
        route = scope[ROUTE_KEY]
    else:
        route = scope.get("path_template") or _starlette_pattern(scope)
    return route if isinstance(route, str) else None


def _starlette_pattern(scope: Scope) -> str | None:
    """Put together what Starlette and FastAPI leave: the route, behind the mounts it lies in."""
    routes = _routes_in(scope.get("router"))
    prefix = ""
    if "app_root_path" in scope:
        mounted_at = scope["root_path"][len(scope["app_root_path"]) :]
        found = _find_mount(routes, f"{mounted_at}/")
        if found is None:
            return None  # half a pattern would be that of another route
        prefix, routes = found
    route, endpoint = scope.get("route"), scope.get("endpoint")
    if route is None and endpoint is not None:  # older versions leave the endpoint only
        route = next((each for each in routes if getattr(each, "endpoint", None) is endpoint), None)
    path = getattr(route, "path", "") if hasattr(route, "endpoint") else ""
    return f"{prefix}{path}" or None


def _find_mount(routes: Iterable[Any], path: str) -> tuple[str, Iterable[Any]] | None:
    """Find the mounts that a path leads through, to its end.

    Returns:
        Their pattern, and the routes that lie in the last; `None` where there are none.
    """
    for route in routes:
        if hasattr(route, "endpoint"):
            continue
        inner = _routes_in(route)
        regex = getattr(route, "path_regex", None)
        if regex is None:
            found = _find_mount(inner, path)  # a Host takes nothing from the path
        elif match := regex.match(path):
            rest = f"/{match['path']}"
            found = ("", inner) if rest == "/" else _find_mount(inner, rest)
        else:
            found = None
        if found is not None:
            return f"{getattr(route, 'path', '')}{found[0]}", found[1]
    return None


def _routes_in(app: Any) -> Iterable[Any]:
    """Find the routes in an application, behind the middlewares around it."""
    for _ in range(_MOST_WRAPPERS):
        routes: Iterable[Any] | None = getattr(app, "routes", None)
        if routes:
            return routes
        app = getattr(app, "app", None)
    return ()
