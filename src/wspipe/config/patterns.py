"""Patterns of a route: which paths and which hosts it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wspipe.types import Scope

_BRACES: Final = re.compile(r"\{([^{}]*)\}|[{}]")
_SLASHES: Final = re.compile("//+")
_LABEL: Final = "[a-z0-9_-]{1,63}"
_HOST: Final = re.compile(
    rf"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>{_LABEL}(?:\.{_LABEL})*)\.?)(?P<port>:[0-9]*)?"
)
_LONGEST_NAME: Final = 253  # characters, the 255 bytes of RFC 1035 section 2.3.4
_LONGEST_HEADER: Final = 300


class PatternError(ValueError):
    """A pattern of a path or a host is not one: the message says what was given and what is right.

    Args:
        problem: All of it, in one sentence.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class PathPattern:
    """Which paths a route takes; `parse` makes one.

    `{name}` stands for one or more characters but slashes, `*` for any characters or none. All
    else stands for itself, case included, and the pattern for the path as a whole.
    """

    text: str
    """The pattern as it was written."""
    shape: str = field(repr=False, compare=False)
    """The pattern in its one spelling, without names: `/a//{id}/**/` has the shape `/a/{}/*`."""

    @classmethod
    def parse(cls, text: str) -> PathPattern:
        """Read a pattern.

        Args:
            text: It begins with a slash; the names in it are Python identifiers, each used once.

        Raises:
            PatternError: It is no pattern.
        """
        if not text.startswith("/"):
            raise PatternError(f"the path {text!r} must begin with a slash, as in {'/' + text!r}")
        if "?" in text or "#" in text:
            raise PatternError(
                f"the path {text!r} must end before the query, which is no part of it"
            )
        names: set[str] = set()
        for found in _BRACES.finditer(text):
            name: str | None = found[1]
            if name is None:
                raise PatternError(
                    f"the path {text!r} has a stray {found[0]!r} as character {found.start() + 1}: "
                    "braces must be around a name, as in '{id}', and stand for nothing else"
                )
            if not name.isidentifier():
                raise PatternError(
                    f"the path {text!r} has {found[0]!r}: between the braces must be "
                    "a Python identifier and nothing more, as in '{id}'"
                )
            if name in names:
                raise PatternError(
                    f"the path {text!r} has {found[0]!r} twice: each name must be used only once"
                )
            names.add(name)
        return cls(text, _spelled(re.sub(r"\*+", "*", _BRACES.sub("{}", text))))

    @property
    def shapes(self) -> tuple[str, ...]:
        """The shape and, where it ends with a slash and a star, the shape without them."""
        if self.shape.endswith("/*") and self.shape != "/*":
            return self.shape, self.shape.removesuffix("/*")
        return (self.shape,)

    def covers(self, other: PathPattern) -> bool:
        """Tell whether this pattern certainly matches every path that another one matches.

        Args:
            other: The other; where this one is before it, covering makes it unreachable.

        Returns:
            False also where it cannot be told.
        """
        return all(
            any(_covers(shape, other_shape) for shape in self.shapes)
            for other_shape in other.shapes
        )


def _covers(shape: str, other: str) -> bool:
    # The other's shape is read as a path. In it "{" is some characters but slashes, which only
    # a name or a star of this pattern takes in; "*" is whatever, which only a star does.
    path = other.replace("{}", "{")
    literal = re.split(r"[{*]", shape, maxsplit=1)[0]
    return path.startswith(literal) and _regex(shape, "/*").match(path) is not None


def regex_of(shape: str) -> re.Pattern[str]:
    """Give what `match`es the paths of a shape, in time proportional to their length.

    Args:
        shape: One of a pattern's `shapes`.
    """
    return _regex(shape, "/")


def spellings(path: str) -> set[str]:
    """Give the other spellings of a path: without a slash at its end, and with single slashes.

    To some frameworks all of them are the same path.

    Args:
        path: The path.
    """
    single = _SLASHES.sub("/", path)
    return {path.removesuffix("/"), single, single.removesuffix("/")} - {path}


def _spelled(shape: str) -> str:
    return _SLASHES.sub("/", shape).rstrip("/") or "/"


@lru_cache(maxsize=4096)
def _regex(shape: str, separators: str) -> re.Pattern[str]:
    # Each wildcard takes as little as the literal after it allows and, being atomic, is not tried
    # again, which loses nothing: what it would take further on, the next wildcard takes as well.
    # After a star the search goes by segments, because where the first place in a segment fails,
    # all others in it do. So no character is read more often than the pattern is long.
    part, separator = f"[^{separators}]", f"[{separators}]"
    first, *rest = re.split(r"(\*|\{\})", shape)
    regex, closing = re.escape(first), ""
    while rest:
        wildcard, literal, *rest = rest
        literal = re.escape(literal)
        if wildcard == "*":
            search = f"(?:{part}*+{separator})*?(?>{part}*?{literal})" if rest else f".*{literal}"
            regex += f"{closing}(?>{search}"
            closing = ")"
        else:
            regex += f"(?>{part}+?{literal})" if rest else f"{part}+{literal}"
    return re.compile(rf"{regex}\Z{closing}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HostPattern:
    """Which hosts a route takes; `parse` makes one.

    A name or an address stands for itself, `*.example.com` for all names below `example.com`, as
    deep as they may be, but not for `example.com`.
    """

    text: str
    """The pattern as it was written."""
    host: str = field(repr=False, compare=False)
    """The host as `host_of` gives it, without the star."""
    is_wildcard: bool = field(repr=False, compare=False)
    """Whether the pattern stands for the names below the host, not for the host."""

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        """Read a pattern.

        Args:
            text: As in the Host header, without a port: a name in ASCII, an IPv4 address, or an
                IPv6 address in brackets (RFC 3986 section 3.2.2). Case does not matter, nor does a
                dot at the end.

        Raises:
            PatternError: It is no pattern.
        """
        is_wildcard = text.startswith("*.")
        host, port = _read(text[2:] if is_wildcard else text)
        if host is None:
            problem = _problem(text)
        elif port is not None:
            right = text.removesuffix(port)
            problem = f"has a port, which is not compared: it must be {right!r}"
        elif is_wildcard and _is_address(host):
            problem = "has '*.' before an address: it must be before a name, as in '*.example.com'"
        else:
            return cls(text, host, is_wildcard)
        raise PatternError(f"the host {text!r} {problem}")

    def matches(self, host: str) -> bool:
        """Tell whether the route takes a host.

        Args:
            host: As `host_of` gives it.
        """
        return host.endswith(f".{self.host}") if self.is_wildcard else host == self.host

    def covers(self, other: HostPattern) -> bool:
        """Tell whether this pattern matches every host that another one matches.

        Args:
            other: The other; where this one is before it, covering makes it unreachable.
        """
        if self.is_wildcard and other.is_wildcard and self.host == other.host:
            return True
        return self.is_wildcard >= other.is_wildcard and self.matches(other.host)


def host_of(scope: Scope) -> str | None:
    """Give the host that the client asked for: lower-case, without port and trailing dot.

    It is read from the first Host header (RFC 9110 section 7.2). An IPv6 address comes in its
    short form, in brackets.

    Args:
        scope: The connection's scope.

    Returns:
        None where there is no such header, or it holds no name and no address.
    """
    for name, value in scope.get("headers") or ():
        if name == b"host":
            return _read_header(value) if len(value) <= _LONGEST_HEADER else None
    return None


@lru_cache(maxsize=256)
def _read_header(value: bytes) -> str | None:
    return _read(value.decode("latin-1"))[0]


def _read(text: str) -> tuple[str | None, str | None]:
    found = _HOST.fullmatch(text.lower())
    if found is None:
        return None, None
    ipv6, name, port = found.groups()
    try:
        if ipv6 is not None:
            name = f"[{IPv6Address(ipv6).compressed}]"
        elif _is_address(name):
            IPv4Address(name)
        elif len(name) > _LONGEST_NAME:
            return None, None
    except ValueError:
        return None, None
    return name, port


def _is_address(host: str) -> bool:
    # A name whose last label is a number is none: such is read as an address, or as a wrong one.
    return host.startswith("[") or host.rpartition(".")[2].isdigit()


def _problem(text: str) -> str:
    try:
        return f"has no brackets: it must be '[{IPv6Address(text)}]'"
    except ValueError:
        pass
    if "*" in text.removeprefix("*."):
        return "has a star inside: one may only be in front, as in '*.example.com'"
    if not text.isascii():
        return "is not in ASCII: it must be what browsers send, a name with 'xn--'"
    return (
        "is neither a name nor an address: it must be as in the Host header, without a port, "
        "such as 'example.com', '*.example.com', '192.0.2.1' or '[2001:db8::1]'"
    )
