"""A middleware for wspipe that lets in the clients of some networks only."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from wspipe import (
    ASGIConnection,
    Composable,
    ConnectionRejected,
    ImproperlyConfiguredException,
    Receive,
    Send,
)

__all__ = ["Networks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks(Composable):
    """Let in the clients of some networks only.

    # Order

    Put it behind what observes, so that the connections that it denies are logged and counted.

    Args:
        allow: Networks such as `10.0.0.0/8`, and single addresses.
        deny_unknown: Deny those too of whom the server tells no IP address.
        status: The HTTP status of the denial, 400 to 599.

    Raises:
        ImproperlyConfiguredException: An option makes no sense.
    """

    allow: tuple[str, ...]
    deny_unknown: bool = True
    status: int = 403
    _networks: tuple[IPv4Network | IPv6Network, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work; read the networks once."""
        if not 400 <= self.status <= 599:
            raise ImproperlyConfiguredException(detail=f"status is 400 to 599, not {self.status}")
        try:
            networks = tuple(map(ip_network, self.allow))
        except ValueError as error:
            raise ImproperlyConfiguredException(detail=f"allow has no network: {error}") from None
        object.__setattr__(self, "_networks", networks)

    def __call__(
        self,
        connection: ASGIConnection,  # noqa: ARG002 - all are alike
        receive: Receive,
        send: Send,
    ) -> tuple[Receive, Send]:
        """Leave the messages alone."""
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        """Let the connection in, or deny it.

        Raises:
            ConnectionRejected: It does not come from one of the networks.
        """
        if not self._allows(connection.client.host if connection.client else ""):
            raise ConnectionRejected(self.status)

    def _allows(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return not self.deny_unknown
        # A socket for both versions tells IPv4 addresses as ::ffff:10.0.0.1.
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)
