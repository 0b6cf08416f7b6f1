"""What the scope tells of a connection, each value read on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, cast

from typing_extensions import TypeVar

from wspipe.datastructures import Address, State
from wspipe.exceptions import ImproperlyConfiguredException
from wspipe.request import base_url_of, cookies_of, headers_of, query_params_of, url_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multidict import CIMultiDictProxy, MultiDictProxy
    from yarl import URL

    from wspipe.types import Scope

User = TypeVar("User", default=Any)
Auth = TypeVar("Auth", default=Any)


class ScopeReader(Generic[User, Auth]):
    """What the server, the frameworks and their middlewares put into the scope.

    Args:
        scope: The ASGI scope.
    """

    __slots__ = ("_base_url", "_cookies", "_headers", "_query_params", "_url", "scope")

    scope: Scope
    """The ASGI scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._url: URL | None = None
        self._base_url: URL | None = None
        self._headers: CIMultiDictProxy[str] | None = None
        self._query_params: MultiDictProxy[str] | None = None
        self._cookies: Mapping[str, str] | None = None

    @property
    def url(self) -> URL:
        """The URL that the client asked for."""
        if self._url is None:
            self._url = url_of(self.scope)
        return self._url

    @property
    def base_url(self) -> URL:
        """The URL of the application's root."""
        if self._base_url is None:
            self._base_url = base_url_of(self.scope)
        return self._base_url

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The request headers, without regard to case, in their order."""
        if self._headers is None:
            self._headers = headers_of(self.scope)
        return self._headers

    @property
    def query_params(self) -> MultiDictProxy[str]:
        """The query parameters, blank values included, in their order."""
        if self._query_params is None:
            self._query_params = query_params_of(self.scope)
        return self._query_params

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies; what is no pair is left out."""
        if self._cookies is None:
            self._cookies = cookies_of(self.headers)
        return self._cookies

    @property
    def client(self) -> Address | None:
        """The client's address, where the server tells."""
        client = self.scope.get("client")
        return Address(*client) if client else None

    @property
    def path_params(self) -> dict[str, Any]:
        """What a router found in the path."""
        return cast("dict[str, Any]", self.scope.get("path_params") or {})

    @property
    def state(self) -> State:
        """The scope's `state`: the lifespan's, and whatever middlewares put there."""
        return State(self.scope.setdefault("state", {}))

    # What frameworks and their middlewares put into the scope.

    @property
    def app(self) -> Any:
        """The framework's application object.

        Raises:
            ImproperlyConfiguredException: Nothing set it.
        """
        return self._from_scope("app", "a framework")

    @property
    def route_handler(self) -> Any:
        """The framework's handler of this route.

        Raises:
            ImproperlyConfiguredException: Nothing set it.
        """
        return self._from_scope("route_handler", "a framework's router")

    @property
    def user(self) -> User:
        """Who is connected.

        Raises:
            ImproperlyConfiguredException: Nothing set it.
        """
        return cast("User", self._from_scope("user", "an authentication middleware"))

    @property
    def auth(self) -> Auth:
        """What the user was authenticated with.

        Raises:
            ImproperlyConfiguredException: Nothing set it.
        """
        return cast("Auth", self._from_scope("auth", "an authentication middleware"))

    @property
    def session(self) -> Any:
        """The session.

        Raises:
            ImproperlyConfiguredException: Nothing set it.
        """
        return self._from_scope("session", "a session middleware")

    def set_session(self, value: Any) -> None:
        """Put a session into the scope.

        Args:
            value: What the session middleware in use takes; commonly a dictionary.
        """
        self.scope["session"] = value

    def clear_session(self) -> None:
        """Empty the session, which session middlewares take as a request to forget it."""
        self.scope["session"] = {}

    def url_for(self, name: str, /, **path_params: Any) -> str:
        """Give the absolute URL of a named route of the framework's router.

        Args:
            name: The name of the route.
            **path_params: The values for its path.

        Raises:
            ImproperlyConfiguredException: No router is in the scope.
        """
        for key, method in _ROUTERS:
            reverse = getattr(self.scope.get(key), method, None)
            if reverse is not None:
                path = reverse(name, **path_params)
                base = self.base_url
                if getattr(path, "protocol", "") == "http":  # Starlette tells what kind of route
                    base = base.with_scheme(base.scheme.replace("ws", "http"))
                return str(base.origin()) + base.raw_path.rstrip("/") + str(path)
        raise ImproperlyConfiguredException(
            detail=f"cannot make the URL of {name!r}: no router is in the scope, "
            "which a framework such as Starlette or Litestar puts there"
        )

    def _from_scope(self, key: str, setter: str) -> Any:
        try:
            return self.scope[key]
        except KeyError:
            raise ImproperlyConfiguredException(
                detail=f"{key!r} is not in the scope; {setter} sets it"
            ) from None


# Where frameworks keep what makes a path of a route's name: Starlette, then Litestar and Starlite.
_ROUTERS = (("router", "url_path_for"), ("app", "url_path_for"), ("app", "route_reverse"))
