"""The middlewares that are installed: entry points of the group `wspipe.middlewares`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

from wspipe.config.objects import UnfitValue
from wspipe.config.options import Option, UnfitClass, options_of
from wspipe.config.problems import listed, shown
from wspipe.config.references import UnresolvedReference, is_reference, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GROUP: Final = "wspipe.middlewares"


class BrokenPlugin(UnfitValue):
    """A plugin cannot be used; the message names it and says why."""


@dataclass(frozen=True)
class Plugin:
    """A middleware that a package offers by a name.

    Args:
        entry_point: Where it is.
        conflict: What keeps files from using it by its name, if anything does.
    """

    entry_point: EntryPoint
    conflict: str = ""

    @property
    def name(self) -> str:
        """What files call it."""
        return self.entry_point.name

    @property
    def package(self) -> str:
        """The package that it comes with, and its version."""
        package = self.entry_point.dist
        return "unknown" if package is None else f"{package.name} {package.version}"

    @property
    def reference(self) -> str:
        """The reference to the class, which files may name it by as well."""
        return self.entry_point.value.partition("[")[0].strip()  # extras are out of use

    @cached_property
    def middleware(self) -> type[Any]:
        """The class.

        Raises:
            BrokenPlugin: It cannot be used: see the message.
        """
        _ = self.options  # which it has only where it can be configured
        middleware: type[Any] = self._loaded
        return middleware

    @cached_property
    def options(self) -> dict[str, Option]:
        """Its options by their names.

        Raises:
            BrokenPlugin: It cannot be used: see the message.
        """
        if self.conflict:
            raise BrokenPlugin(self.conflict)
        loaded = self._loaded
        try:
            return options_of(loaded)
        except UnfitClass as error:
            raise self._broken(f"{self.reference} {error}") from error

    @cached_property
    def _loaded(self) -> Any:
        if not is_reference(self.reference):
            raise self._broken(f'{shown(self.entry_point.value)} is no "module:attribute"')
        try:
            return resolve(self.reference)
        except UnresolvedReference as error:
            raise self._broken(str(error)) from error

    def _broken(self, why: str) -> BrokenPlugin:
        return BrokenPlugin(f"plugin {self.name} of {self.package} is broken: {why}")


class Registry:
    """Middlewares by the names that files call them.

    Args:
        plugins: The middlewares.
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        found: dict[str, list[Plugin]] = {}
        for plugin in plugins:
            same = found.setdefault(plugin.name, [])
            # A package that is on the path twice, say installed and as a checkout, is one.
            if all(each.reference != plugin.reference for each in same):
                same.append(plugin)
        self._plugins = {name: _apart(same) for name, same in sorted(found.items())}

    @classmethod
    def installed(cls) -> Registry:
        """Find what the packages of this environment offer."""
        return cls(map(Plugin, entry_points(group=GROUP)))

    def __iter__(self) -> Iterator[Plugin]:
        """Go through them by name."""
        for plugins in self._plugins.values():
            yield from plugins

    @property
    def names(self) -> list[str]:
        """The names that there are."""
        return list(self._plugins)

    def find(self, name: str) -> Plugin | None:
        """Look one up; where several packages offer the name, any of them, which says so.

        Args:
            name: The name that it is registered under.
        """
        plugins = self._plugins.get(name)
        return plugins[0] if plugins else None


def _apart(same: list[Plugin]) -> list[Plugin]:
    """Note with each of several plugins of one name that files cannot tell them apart."""
    if len(same) == 1:
        return same
    same = sorted(same, key=lambda plugin: plugin.package)
    packages = listed(plugin.package for plugin in same)
    values = listed((shown(plugin.reference) for plugin in same), "or")
    conflict = f"{same[0].name} is offered by {packages}; say which one by {values}"
    return [replace(plugin, conflict=conflict) for plugin in same]
