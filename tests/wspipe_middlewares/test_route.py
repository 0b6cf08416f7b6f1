"""The route's pattern, by what frameworks leave in the scope; see also tests/frameworks."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.routing import Host, Mount, Router, WebSocketRoute

from wspipe import ASGIConnection
from wspipe_middlewares.route import route_of


async def endpoint(_: Any) -> None: ...


async def another(_: Any) -> None: ...


def pattern(**scope: Any) -> str | None:
    return route_of(ASGIConnection({"type": "websocket", "path": "/x", **scope}))


def test_whoever_knows_the_pattern_may_say_it() -> None:
    assert pattern(**{"wspipe.route": "/a/{b}", "path_template": "/c"}) == "/a/{b}"
    assert pattern(**{"wspipe.route": None, "path_template": "/c"}) is None


def test_without_a_framework_there_is_none() -> None:
    assert pattern() is None
    assert pattern(root_path="/api") is None
    assert pattern(router=object(), endpoint=endpoint) is None


def test_the_scope_stays_as_it_was() -> None:
    scope = {"type": "websocket", "path_template": "/a/{b}"}
    assert route_of(ASGIConnection(scope)) == "/a/{b}"
    assert scope == {"type": "websocket", "path_template": "/a/{b}"}


class Wrapper:
    """A middleware that keeps what it is around as `app`, as most do."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, *_: Any) -> None: ...


ROUTER = Router(
    [
        WebSocketRoute("/a/{b}", endpoint),
        Mount("/m/{n}", routes=[Mount("/o", routes=[WebSocketRoute("/p/{q}", endpoint)])]),
        Host("h.example", Router([Mount("/on", routes=[WebSocketRoute("/host", endpoint)])])),
        Host("[::1]", Router([Mount("/six", routes=[WebSocketRoute("/in", endpoint)])])),
        Mount("/plain", another),
        Mount("/wrapped", Wrapper(Wrapper(Router([WebSocketRoute("/in", endpoint)])))),
        Mount("/behind", Wrapper(Router([Mount("/a", routes=[WebSocketRoute("/b", endpoint)])]))),
    ]
)


@pytest.mark.parametrize(
    ("mounted_at", "found"),
    [
        (None, "/a/{b}"),
        ("/m/5/o", "/m/{n}/o/p/{q}"),
        ("/on", "/on/host"),
        ("/wrapped", "/wrapped/in"),
        ("/behind/a", "/behind/a/b"),
        ("/plain/deeper", None),
        ("/nowhere", None),
    ],
)
def test_older_versions_of_starlette_leave_only_the_endpoint(
    mounted_at: str | None, found: str | None
) -> None:
    headers = [(b"host", b"h.example:80")]
    scope: dict[str, Any] = {"router": ROUTER, "endpoint": endpoint, "headers": headers}
    if mounted_at is not None:
        scope |= {"app_root_path": "/api", "root_path": f"/api{mounted_at}"}
    assert pattern(**scope) == found


def test_another_host_is_another_route() -> None:
    mounted = {"app_root_path": "", "root_path": "/on", "headers": [(b"host", b"i.example")]}
    assert pattern(router=ROUTER, endpoint=endpoint, **mounted) is None


def test_a_host_may_be_an_address() -> None:
    mounted = {"app_root_path": "", "root_path": "/six", "headers": [(b"host", b"[::1]:8000")]}
    assert pattern(router=ROUTER, endpoint=endpoint, **mounted) == "/six/in"


def test_what_litestar_chose_lies_behind_the_mount_too() -> None:
    mounted = {"app_root_path": "", "root_path": "/plain"}
    found = pattern(router=ROUTER, route=ROUTER.routes[4], path_template="/ws/{i}", **mounted)
    assert found == "/plain/ws/{i}"


class Endless:
    """Is around itself."""

    @property
    def app(self) -> Endless:
        return self


class Lazy:
    """Fails on whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise (AttributeError if name.startswith("__") else LookupError)(name)


@pytest.mark.parametrize(
    "router",
    [Lazy(), 5, Router([Mount("/x", Lazy())]), Endless()],
    ids=["lazy", "number", "lazy in a mount", "endless"],
)
def test_an_odd_router_is_no_harm(router: Any) -> None:
    mounted = {"app_root_path": "", "root_path": "/x/y"}
    assert pattern(router=router, endpoint=endpoint, **mounted) is None


def test_what_is_mounted_without_routes_is_known_by_its_mount() -> None:
    mounted = {"app_root_path": "", "root_path": "/plain"}
    assert pattern(router=ROUTER, endpoint=another, route=ROUTER.routes[4], **mounted) == "/plain"
