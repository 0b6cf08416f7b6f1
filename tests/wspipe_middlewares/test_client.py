"""The client's address, behind proxies too; whoever is no proxy can make up nothing."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wspipe import ImproperlyConfiguredException
from wspipe_middlewares.client import Proxies, address_group, client_address

XFF, FORWARDED = "x-forwarded-for", "forwarded"
HEADERS = st.sampled_from([XFF, FORWARDED])
PROXY = "10.0.0.1"
TRUSTED = ["10.0.0.0/8", "fd00::/8"]


def address(
    *values: str | bytes, header: str = XFF, peer: Any = (PROXY, 5), proxies: Any = TRUSTED
) -> str | None:
    lines = [value.encode("latin-1") if isinstance(value, str) else value for value in values]
    scope = {"type": "websocket", "client": peer, "headers": [(header.encode(), x) for x in lines]}
    return client_address(scope, Proxies.of(proxies, header))


# Which peers are trusted


def test_proxies_are_addresses_networks_or_unix() -> None:
    proxies = Proxies.of(["10.0.0.1", "10.1.0.0/16", "fd00::/8", "unix"], "forwarded")
    networks = (IPv4Network("10.0.0.1/32"), IPv4Network("10.1.0.0/16"), IPv6Network("fd00::/8"))
    assert proxies == Proxies(networks, unix=True, header="forwarded")
    assert Proxies.of(()) == Proxies((), unix=False, header="x-forwarded-for")


def test_ipv4_mapped_networks_are_those_of_ipv4() -> None:
    proxies = Proxies.of(["::ffff:10.0.0.0/104", "::ffff:10.0.0.1", "::/0"])
    networks = (IPv4Network("10.0.0.0/8"), IPv4Network("10.0.0.1/32"), IPv6Network("::/0"))
    assert proxies.networks == networks


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("10.0.0.1", "proxies='10.0.0.1' must be a tuple"),
        (["localhost"], "not 'localhost'"),
        (["*"], "not '*'"),
        ([""], "not ''"),
        (["\n"], r"not '\n'"),
        (["10.0.0.1:80"], "not '10.0.0.1:80'"),
        (["10.0.0.0/33"], "not '10.0.0.0/33'"),
        ([5], "not 5"),
        (b"10.0.0.1", "must be a tuple"),
        (["10.0.0.1/8"], "'10.0.0.0/8', not '10.0.0.1/8'"),
        (["fd00::1/8"], "'fd00::/8', not 'fd00::1/8'"),
        (["::ffff:10.0.0.1/104"], "'10.0.0.0/8', not '::ffff:10.0.0.1/104'"),
        (["fe80::1%eth0"], "'fe80::1/128', not 'fe80::1%eth0'"),
    ],
)
def test_anything_else_is_refused_in_one_line(given: Any, said: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        Proxies.of(given)
    assert said in refused.value.detail
    assert "\n" not in refused.value.detail


@pytest.mark.parametrize("header", ["x-real-ip", "X-Forwarded-For", "", None])
def test_another_header_is_refused(header: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        Proxies.of([], header)
    said = f"the proxies' header is 'x-forwarded-for' or 'forwarded', not {header!r}"
    assert refused.value.detail == said


# The peer


@pytest.mark.parametrize(
    ("peer", "found"),
    [
        (("9.9.9.9", 5), "9.9.9.9"),
        (["9.9.9.9", 5], "9.9.9.9"),
        (("::ffff:9.9.9.9", 5), "9.9.9.9"),
        (("2001:DB8:0::1", 5), "2001:db8::1"),
        (("fe80::1%eth0", 5), "fe80::1"),
        (("testclient", 50000), "testclient"),
        (("", 0), None),
        ((None, 0), None),
        ((), None),
        (None, None),
    ],
)
@pytest.mark.parametrize("proxies", [[], TRUSTED], ids=["no proxies", "proxies"])
def test_a_peer_that_is_not_trusted_is_the_client(
    peer: Any, found: str | None, proxies: list[str]
) -> None:
    assert address("8.8.8.8", peer=peer, proxies=proxies) == found


def test_the_scope_may_lack_client_and_headers() -> None:
    assert client_address({"type": "websocket"}, Proxies.of(["unix"])) is None


@pytest.mark.parametrize("peer", [None, ("", 0)])
def test_a_unix_socket_may_be_trusted(peer: Any) -> None:
    assert address("9.9.9.9", peer=peer, proxies=["unix"]) == "9.9.9.9"
    assert address(peer=peer, proxies=["unix"]) is None
    assert address("unknown", peer=peer, proxies=["unix"]) is None


def test_a_unix_socket_alone_makes_no_address_trusted() -> None:
    assert address("9.9.9.9", proxies=["unix"]) == PROXY
    assert address("9.9.9.9", peer=("testclient", 5), proxies=["unix"]) == "testclient"


@pytest.mark.parametrize("peer", ["::ffff:10.0.0.1", "fd00::1%eth0"])
def test_a_trusted_peer_is_known_in_any_form(peer: str) -> None:
    assert address("9.9.9.9", peer=(peer, 5)) == "9.9.9.9"


class Unread(dict[str, Any]):
    """A scope whose headers nobody may read."""

    def get(self, key: str, default: Any = None) -> Any:
        assert key != "headers"
        return super().get(key, default)


def test_headers_are_read_only_where_the_peer_is_trusted() -> None:
    scope = Unread(client=(PROXY, 5))
    assert client_address(scope, Proxies.of([])) == PROXY
    with pytest.raises(AssertionError):
        client_address(scope, Proxies.of([PROXY]))


# The header


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("9.9.9.9", "9.9.9.9"),
        ("\t 9.9.9.9 \t", "9.9.9.9"),
        ("9.9.9.9:5678", "9.9.9.9"),
        ("::ffff:9.9.9.9", "9.9.9.9"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[::ffff:9.9.9.9]:443", "9.9.9.9"),
        ("[fe80::1%eth0]:443", "fe80::1"),
        ("", PROXY),
        (" ", PROXY),
        ("unknown", PROXY),
        ("_hidden", PROXY),
        ("unix:", PROXY),
        ("9", PROXY),
        ("9.9.9", PROXY),
        ("9.9.9.09", PROXY),
        ("9.9.9.9/32", PROXY),
        ("9.9.9.9 8.8.8.8", PROXY),
        ("9.9.9.9:", PROXY),
        ("9.9.9.9:123456", PROXY),
        ("9.9.9.9:http", PROXY),
        ("\xa09.9.9.9", PROXY),
        ("9.9.9.\xb2", PROXY),
        ("[]", PROXY),
        ("[2001:db8::1", PROXY),
        ("[2001:db8::1]443", PROXY),
        ("fe80::1%", PROXY),
        ('"9.9.9.9"', PROXY),
        ("for=9.9.9.9", PROXY),
    ],
)
def test_an_entry_of_x_forwarded_for(entry: str, found: str) -> None:
    assert address(entry) == found
    assert address(f"8.8.8.8,{entry}") == found


@pytest.mark.parametrize(
    ("element", "found"),
    [
        ("for=9.9.9.9", "9.9.9.9"),
        ("\tFor=9.9.9.9 ", "9.9.9.9"),
        ("FOR=9.9.9.9:5678", "9.9.9.9"),
        ('for="9.9.9.9"', "9.9.9.9"),
        ('for="9.9.9.9:5678"', "9.9.9.9"),
        ('for="9.9.9.9:_port"', "9.9.9.9"),
        (r'for="9\.9.9.\9"', "9.9.9.9"),
        ('for="[2001:db8::1]"', "2001:db8::1"),
        ('for="[2001:db8::1]:4711"', "2001:db8::1"),
        ("for=[2001:db8::1]:4711", "2001:db8::1"),
        ("for=9.9.9.9;proto=https;by=10.0.0.2", "9.9.9.9"),
        ("by=10.0.0.2;for=9.9.9.9", "9.9.9.9"),
        ("by=10.0.0.2 ; for=9.9.9.9 ; host=a.example:80", "9.9.9.9"),
        (";for=9.9.9.9;;", "9.9.9.9"),
        ('for=9.9.9.9;host="a, for=8.8.8.8"', "9.9.9.9"),
        ('host="a;for=8.8.8.8";for=9.9.9.9', "9.9.9.9"),
        (r'for=9.9.9.9;host="\", for=8.8.8.8;x=\""', "9.9.9.9"),
        (r'for=9.9.9.9;host="\\"', "9.9.9.9"),
        (r'for=9.9.9.9;host="\\\""', "9.9.9.9"),
        ('for=9.9.9.9;host=""', "9.9.9.9"),
        ("", PROXY),
        ("9.9.9.9", PROXY),
        ("for=", PROXY),
        ('for=""', PROXY),
        ("for=unknown", PROXY),
        ('for="_hidden"', PROXY),
        ("proto=https", PROXY),
        ("before=9.9.9.9", PROXY),
        ("for=9.9.9.9;for=9.9.9.9", PROXY),
        ("for = 9.9.9.9", PROXY),
        ("for=9.9.9.9 proto=https", PROXY),
        ("for=9.9.9.9;proto", PROXY),
        ('for="9.9.9.9', PROXY),
        ('for=9.9.9.9"', PROXY),
        ('for="9.9.9.9"5', PROXY),
        (r'for=\"9.9.9.9"', PROXY),
    ],
)
def test_an_element_of_forwarded(element: str, found: str) -> None:
    assert address(element, header=FORWARDED) == found
    assert address(f"for=8.8.8.8,{element}", header=FORWARDED) == found


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["8.8.8.8, 9.9.9.9, 10.0.0.3, fd00::2"], "9.9.9.9"),
        (["8.8.8.8", "9.9.9.9", "10.0.0.3, fd00::2"], "9.9.9.9"),
        (["10.0.0.4, 10.0.0.3"], "10.0.0.4"),
        (["8.8.8.8, unknown, 10.0.0.3"], "10.0.0.3"),
        (["8.8.8.8, , 10.0.0.3"], "10.0.0.3"),
        (["8.8.8.8", "", "10.0.0.3"], "10.0.0.3"),
        (["unknown"], PROXY),
        ([], PROXY),
    ],
)
def test_the_nearest_that_is_no_proxy_is_the_client(lines: list[str], found: str) -> None:
    assert address(*lines) == found


def test_the_other_header_has_no_influence() -> None:
    headers = [(b"forwarded", b"for=8.8.8.8"), (b"x-forwarded-for", b"9.9.9.9")]
    scope = {"type": "websocket", "client": (PROXY, 5), "headers": headers}
    assert client_address(scope, Proxies.of([PROXY], "x-forwarded-for")) == "9.9.9.9"
    assert client_address(scope, Proxies.of([PROXY], "forwarded")) == "8.8.8.8"
    for header, only in (("forwarded", headers[1:]), ("x-forwarded-for", headers[:1])):
        assert client_address({**scope, "headers": only}, Proxies.of([PROXY], header)) == PROXY


@pytest.mark.parametrize("header", [XFF, FORWARDED])
def test_no_more_than_64_entries_are_read(header: str) -> None:
    extra = ";by=a;host=b;proto=c" if header == FORWARDED else ""
    name = "for=" if header == FORWARDED else ""
    proxies = [f"{name}10.0.1.{number}{extra}" for number in range(63)]
    client = f"{name}9.9.9.9{extra}"
    assert address(", ".join([client, *proxies]), header=header) == "9.9.9.9"
    farthest = f"{name}10.0.2.1{extra}"
    assert address(", ".join([client, farthest, *proxies]), header=header) == "10.0.2.1"


@pytest.mark.parametrize("header", [XFF, FORWARDED])
@pytest.mark.parametrize(
    "unit", ["1", ",", ";", '"', "\\", ' "', '\\"', '="', "=a", " ", ":", "1:", "1.", "a=b;", "["]
)
def test_a_header_of_a_megabyte_is_no_harm(unit: str, header: str) -> None:
    text = unit * (2**20 // len(unit))
    for value in (text, f"for={text}", f'for="{text}"', f"{text}=a", f"[{text}]"):
        assert address(value, header=header) == PROXY


# At random


@given(HEADERS, st.lists(st.binary()), st.lists(st.text('for=,;" \\:[]%._19', max_size=40)))
def test_nothing_that_is_sent_raises(header: str, raw: list[bytes], texts: list[str]) -> None:
    found = address(*raw, *texts, header=header)
    assert found is not None
    assert str(ip_address(found)) == found


ADDRESSES = ["9.9.9.9", "10.0.0.9", "2001:db8::1", "fd00::9"]
PIECES = [
    *("9.9.9.9", "10.0.0.9", "[2001:db8::1]", "[fd00::9]", "unknown", "_hidden"),
    *("for=", "by=", ":80", ",", ", ", ";", '"', "\\", " "),
]


@given(HEADERS, st.lists(st.lists(st.sampled_from(PIECES), max_size=20).map("".join), max_size=3))
def test_the_address_is_the_peer_s_or_in_the_header(header: str, lines: list[str]) -> None:
    assert address(*lines, header=header) in [PROXY, *ADDRESSES]


MADE_UP = st.one_of(
    st.text(st.characters(codec="latin-1")),
    st.lists(st.sampled_from(PIECES)).map("".join),
)


@given(HEADERS, MADE_UP, st.sampled_from([0, 1]), st.sampled_from(["9.9.9.9", "2001:db8::1"]))
def test_what_the_client_made_up_never_wins(
    header: str, made_up: str, proxies: int, client: str
) -> None:
    chain = [client, "10.0.0.2", "fd00::2"][: proxies + 1]
    if header == FORWARDED:
        chain = [f'for="[{x}]:4711";host=","' if ":" in x else f"For={x}" for x in chain]
    assert address(", ".join([made_up, *chain]), header=header) == client
    assert address(made_up, *chain, header=header) == client


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(
    st.lists(st.tuples(st.sampled_from([*ADDRESSES, "unknown"]), st.text('a,;="\\ ')), min_size=1),
    st.sampled_from([",", " , "]),
)
def test_both_headers_tell_the_same(chain: list[tuple[str, str]], comma: str) -> None:
    expected = PROXY
    for each, _ in reversed(chain):
        if each == "unknown":
            break
        expected = each
        if each in {"9.9.9.9", "2001:db8::1"}:
            break
    assert address(comma.join(each for each, _ in chain)) == expected
    elements = [
        f"host={quoted(host)};for={quoted(f'[{each}]' if ':' in each else each)};x={quoted(host)}"
        for each, host in chain
    ]
    assert address(comma.join(elements), header=FORWARDED) == expected


# By what to count


@pytest.mark.parametrize(
    ("given", "prefix", "group"),
    [
        ("1.2.3.4", 64, "1.2.3.4"),
        ("::ffff:1.2.3.4", 64, "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", 48, "2001:db8:1::/48"),
        ("2001:db8::1", 128, "2001:db8::1/128"),
        ("2001:db8::1", 0, "::/0"),
        ("fe80::1%eth0", 64, "fe80::/64"),
        ("testclient", 64, "testclient"),
        ("", 64, ""),
    ],
)
def test_addresses_are_counted_by_network(given: str, prefix: int, group: str) -> None:
    assert address_group(given, prefix) == group


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_network_counts_as_one_client(one: IPv6Address, host: int) -> None:
    other = IPv6Address((int(one) >> 64 << 64) + host)
    assume(one.ipv4_mapped is None and other.ipv4_mapped is None)
    assert address_group(str(one), 64) == address_group(str(other), 64)


@given(st.one_of(st.text(), st.text("0f:.%/"), st.ip_addresses().map(str)))
def test_a_group_is_its_own_group(text: str) -> None:
    group = address_group(text, 64)
    assert address_group(group, 64) == group


@pytest.mark.parametrize("prefix", [-1, 129])
def test_there_is_no_such_prefix(prefix: int) -> None:
    with pytest.raises(ValueError, match="netmask"):
        address_group("2001:db8::1", prefix)
