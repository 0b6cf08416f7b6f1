"""Packages that offer middlewares: what is wrong with one is told, and no other is the worse."""

from __future__ import annotations

import json
import sys
from importlib import invalidate_caches
from textwrap import dedent
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from typer.testing import CliRunner

from tests.built_in import BUILT_IN
from wspipe.cli.command import app
from wspipe.config import BrokenPlugin, Config, ConfigurationError, Registry
from wspipe_middlewares import Logging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


FINE = '''
from dataclasses import dataclass


@dataclass(frozen=True)
class Fine:
    """Do nothing, well.

    Args:
        often: How often.
    """

    often: int = 1

    def __call__(self, connection, receive, send):
        return receive, send
'''

NO_DATACLASS = "is no frozen dataclass, whose fields would be its options"


class Case(NamedTuple):
    """A plugin that cannot be used.

    Attributes:
        source: The module `acme_broken`, which `Fine` can be imported to.
        why: What is said of it.
        value: The entry point.
    """

    source: str
    why: str
    value: str = "acme_broken:Broken"


CASES = {
    "raises": Case(
        'raise RuntimeError("the licence\\nhas expired")',
        '"acme_broken:Broken" cannot be had: importing acme_broken failed with '
        "RuntimeError: the licence has expired",
    ),
    "exits": Case(
        'raise SystemExit("usage: acme PORT")',
        '"acme_broken:Broken" cannot be had: importing acme_broken failed with '
        "SystemExit: usage: acme PORT",
    ),
    "needs more": Case(
        "import acme_database",
        '"acme_broken:Broken" cannot be had: importing acme_broken failed with '
        "ModuleNotFoundError: No module named 'acme_database'",
    ),
    "missing attribute": Case(
        "class Borken: ...",
        '"acme_broken:Broken" cannot be found: module acme_broken has no Broken; '
        'did you mean "acme_broken:Borken"?',
    ),
    "no reference": Case("", '"acme_broken" is no "module:attribute"', "acme_broken"),
    "a function": Case(
        "def Broken(connection, receive, send): ...",
        f"acme_broken:Broken {NO_DATACLASS}",
    ),
    "an object": Case(
        "Broken = Fine()",
        f"acme_broken:Broken {NO_DATACLASS}",
    ),
    "not frozen": Case(
        """
        @dataclass
        class Broken(object):
            often: int = 1

            def __call__(self, connection, receive, send): ...
        """,
        f"acme_broken:Broken {NO_DATACLASS}",
    ),
    "no __call__": Case(
        """
        @dataclass(frozen=True)
        class Broken:
            often: int = 1
        """,
        "acme_broken:Broken is no middleware: it has no __call__(connection, receive, send)",
    ),
    "a type for type checkers": Case(
        """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from acme_fine import Fine, dataclass

        if TYPE_CHECKING:
            from decimal import Decimal

        @dataclass(frozen=True)
        class Broken(Fine):
            share: Decimal | None = None
        """,
        "acme_broken:Broken has a field 'share' whose type 'Decimal | None' means nothing at run "
        "time: name 'Decimal' is not defined",
    ),
    "a field named use": Case(
        """
        @dataclass(frozen=True)
        class Broken(Fine):
            use: str = ""
        """,
        "acme_broken:Broken has a field 'use', which a file could not set: "
        "it has another meaning there",
    ),
}


class Site:
    """A folder that Python looks for packages in.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def add(self, package: str, points: dict[str, str], **modules: str) -> Site:
        """Install a package as pip would: its modules, and what tells of it."""
        about = self.folder / f"{package.replace('-', '_').replace(' ', '-')}.dist-info"
        about.mkdir()
        name, version = package.split(" ")
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        entries = "".join(f"{key} = {value}\n" for key, value in points.items())
        (about / "entry_points.txt").write_text(f"[wspipe.middlewares]\n{entries}")
        for module, source in modules.items():
            (self.folder / f"{module}.py").write_text(source)
        invalidate_caches()
        return self


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Site]]:
    """Give folders that Python looks in before all others, the last one first."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)

    def make(name: str) -> Site:
        sys.path.insert(0, str(tmp_path / name))
        return Site(tmp_path / name)

    yield make
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(params=CASES.values(), ids=CASES)
def broken(request: pytest.FixtureRequest, site: Callable[[str], Site]) -> Case:
    """Install a broken plugin, and a fine one in the same package."""
    case: Case = request.param
    source = dedent(case.source)
    if "annotations" not in source:
        source = f"from acme_fine import Fine, dataclass\n{source}"
    points = {"Broken": case.value, "Fine": "acme_fine:Fine"}
    site("site").add("acme-limits 1.4.2", points, acme_broken=source, acme_fine=FINE)
    return case._replace(why=f"plugin Broken of acme-limits 1.4.2 is broken: {case.why}")


def invoke(*arguments: str) -> tuple[int, Any]:
    """Run the command; give its exit code and the JSON that it prints."""
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, json.loads(result.stdout)


def pipeline_of(*uses: str) -> dict[str, Any]:
    return {"pipelines": {"main": {"middlewares": list(uses)}}}


def names_in(schema: Any) -> tuple[list[str], list[str]]:
    """Give the middlewares that a schema knows: as a name alone, and as a table with options."""
    names, _, *tables = schema["$defs"]["pipeline"]["properties"]["middlewares"]["items"]["anyOf"]
    known = [each["properties"]["use"].get("const") for each in tables]
    return names["enum"], [each for each in known if each]


def test_a_broken_plugin_is_named_with_its_package_and_what_is_wrong(broken: Case) -> None:
    plugin = Registry.installed().find("Broken")
    assert plugin is not None
    for _ in range(2):
        with pytest.raises(BrokenPlugin) as of_class:
            _ = plugin.middleware
        with pytest.raises(BrokenPlugin) as of_options:
            _ = plugin.options
        assert str(of_class.value) == str(of_options.value) == broken.why


@pytest.mark.usefixtures("broken")
def test_the_other_plugins_work() -> None:
    registry = Registry.installed()
    assert registry.names == sorted([*BUILT_IN, "Broken", "Fine"])
    options = {plugin.name: plugin.options for plugin in registry if plugin.name != "Broken"}
    assert sorted(options) == sorted([*BUILT_IN, "Fine"])
    assert list(options["Fine"]) == ["often"]
    assert "rate" in options["RateLimit"]


@pytest.mark.usefixtures("broken")
def test_a_configuration_imports_no_plugin_but_those_that_it_uses() -> None:
    config = Config.load(pipeline_of("Logging", "Fine"))
    assert [stage.declaration.use for stage in config.stages] == ["Logging", "Fine"]
    assert "acme_fine" in sys.modules
    assert "acme_broken" not in sys.modules


def test_a_configuration_with_a_broken_plugin_tells_of_it_and_of_all_else(broken: Case) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Config.load(pipeline_of("Broken", "Loging"))
    first, second = caught.value.problems
    assert first.message == broken.why
    assert first.key == "pipelines.main.middlewares[0]"
    assert second.nearest == "Logging"


@pytest.mark.parametrize(
    ("stage", "column", "key"),
    [
        ('"Broken"', 5, "pipelines.main.middlewares[1]"),
        ("{ often = 2, use = 'Broken' }", 18, "pipelines.main.middlewares[1].use"),
    ],
)
def test_check_tells_where_a_broken_plugin_is_used(
    stage: str, column: int, key: str, broken: Case, tmp_path: Path
) -> None:
    (tmp_path / "wspipe.toml").write_text(
        f'[pipelines.main]\nmiddlewares = [\n    "Logging",\n    {stage},\n]\n'
    )
    code, told = invoke("check", "--json")
    assert code == 1
    (problem,) = told["problems"]
    assert (problem["file"], problem["line"], problem["column"]) == ("wspipe.toml", 4, column)
    assert (problem["key"], problem["message"]) == (key, broken.why)
    assert (problem["level"], problem["given"]) == ("error", '"Broken"')


def test_the_list_has_a_broken_plugin_with_what_is_wrong(broken: Case) -> None:
    code, told = invoke("middlewares", "--json")
    assert code == 1
    by_name = {each["name"]: each for each in told["middlewares"]}
    assert sorted(by_name) == sorted([*BUILT_IN, "Broken", "Fine"])
    assert by_name.pop("Broken") == {
        "name": "Broken",
        "package": "acme-limits 1.4.2",
        "class": broken.value,
        "error": broken.why,
    }
    assert all(each["options"] for each in by_name.values())
    assert by_name["Fine"]["summary"] == "Do nothing, well."


@pytest.mark.usefixtures("broken")
def test_the_list_of_one_other_plugin_is_fine() -> None:
    code, told = invoke("middlewares", "Fine", "--json")
    assert code == 0
    assert [each["name"] for each in told["middlewares"]] == ["Fine"]


@pytest.mark.usefixtures("broken")
def test_the_schema_leaves_a_broken_plugin_out() -> None:
    code, schema = invoke("schema")
    assert code == 0
    # RateLimit needs a rate, so its name alone will not do.
    alone = sorted({*BUILT_IN, "Fine"} - {"RateLimit"})
    assert names_in(schema) == (alone, sorted([*BUILT_IN, "Fine"]))


def test_the_list_for_people_has_what_is_wrong(site: Callable[[str], Site]) -> None:
    site("site").add("acme 1.0", {"Broken": "acme:Broken"}, acme="def Broken(): ...")
    result = CliRunner().invoke(app, ["middlewares", "Broken"])
    assert result.exit_code == 1
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        "Broken  acme:Broken, from acme 1.0",
        f"  plugin Broken of acme 1.0 is broken: acme:Broken {NO_DATACLASS}",
        "",
    ]


def test_the_list_for_people_has_the_options(site: Callable[[str], Site]) -> None:
    needy = FINE.replace("often: int = 1", "often: int\n    seldom: bool = False")
    site("site").add("acme 1.0", {"Fine": "acme:Fine"}, acme=needy)
    result = CliRunner().invoke(app, ["middlewares", "Fine"])
    assert result.exit_code == 0
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        "Fine  acme:Fine, from acme 1.0",
        "  Do nothing, well.",
        "  option    takes             default          meaning",
        "  often     a whole number    must be given    How often.",
        "  seldom    true or false     false",
        "",
    ]


def test_a_default_that_no_file_could_say_is_left_out(site: Callable[[str], Site]) -> None:
    defaults = (
        "often: int = 2**64\n    at: object = print\n    in_: frozenset = frozenset({2, 10, 'a'})"
    )
    source = FINE.replace("often: int = 1", defaults)
    site("site").add("acme 1.0", {"Fine": "acme:Fine"}, acme=source)
    _, told = invoke("middlewares", "Fine", "--json")
    options = {each["name"]: each for each in told["middlewares"][0]["options"]}
    assert "default" not in options["often"]
    assert "default" not in options["at"]
    assert options["in_"]["default"] == [2, 10, "a"]
    assert "Fine" in names_in(invoke("schema")[1])[1]


@pytest.mark.parametrize(
    ("name", "advice"), [("Ratelimit", " Did you mean RateLimit?"), ("Compression", "")]
)
def test_the_list_knows_no_other_name(name: str, advice: str) -> None:
    result = CliRunner().invoke(app, ["middlewares", name])
    assert result.exit_code == 2
    assert result.stderr == (
        f'wspipe: there is no middleware "{name}".{advice} There are '
        f"{', '.join(BUILT_IN[:-1])} and {BUILT_IN[-1]}\n"
    )


# One name, several packages.


TWICE = (
    "Fine is offered by acme-limits 1.4.2 and other-limits 2.0; "
    'say which one by "acme_fine:Fine" or "other_fine:Fine"'
)


@pytest.fixture(params=["one site", "two sites", "two sites in reverse"])
def twice(request: pytest.FixtureRequest, site: Callable[[str], Site]) -> None:
    """Install two packages that offer a middleware of the same name."""
    first, second = site("first"), site("second")
    if request.param == "one site":
        second = first
    elif request.param == "two sites in reverse":
        first, second = second, first
    first.add("acme-limits 1.4.2", {"Fine": "acme_fine:Fine"}, acme_fine=FINE)
    second.add("other-limits 2.0", {"Fine": "other_fine:Fine"}, other_fine=FINE)


@pytest.mark.usefixtures("twice")
def test_a_name_that_two_packages_offer_is_refused_but_their_references_are_not() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Config.load(pipeline_of("Fine"))
    (problem,) = caught.value.problems
    assert problem.message == TWICE
    config = Config.load(pipeline_of("Logging", "other_fine:Fine", "acme_fine:Fine"))
    assert [type(each.middleware).__module__ for each in config.stages][1:] == [
        "other_fine",
        "acme_fine",
    ]


@pytest.mark.usefixtures("twice")
def test_check_tells_where_a_name_that_two_packages_offer_is_used(tmp_path: Path) -> None:
    (tmp_path / "wspipe.toml").write_text("[[pipelines.main.middlewares]]\nuse = 'Fine'\noften = 2")
    code, told = invoke("check", "--json")
    assert code == 1
    (problem,) = told["problems"]
    assert (problem["line"], problem["column"], problem["message"]) == (2, 1, TWICE)


@pytest.mark.usefixtures("twice")
def test_a_name_that_two_packages_offer_is_listed_twice_and_in_no_schema() -> None:
    code, told = invoke("middlewares", "Fine", "--json")
    assert code == 1
    assert told["middlewares"] == [
        {"name": "Fine", "package": package, "class": value, "error": TWICE}
        for package, value in [
            ("acme-limits 1.4.2", "acme_fine:Fine"),
            ("other-limits 2.0", "other_fine:Fine"),
        ]
    ]
    assert names_in(invoke("schema")[1])[1] == BUILT_IN


def test_three_packages_are_all_named(site: Callable[[str], Site]) -> None:
    for name in ("b", "a", "c"):
        site(name).add(f"{name} 1", {"Fine": f"{name}:Fine"})
    plugin = Registry.installed().find("Fine")
    assert plugin is not None
    assert plugin.conflict == (
        'Fine is offered by a 1, b 1 and c 1; say which one by "a:Fine", "b:Fine" or "c:Fine"'
    )


def test_a_package_with_the_name_of_a_built_in_changes_nothing_in_silence(
    site: Callable[[str], Site],
) -> None:
    site("site").add("acme 1.0", {"Logging": "acme:Fine", "Fine": "acme:Fine"}, acme=FINE)
    with pytest.raises(ConfigurationError) as caught:
        Config.load(pipeline_of("Metrics", "Logging", "Fine"))
    (problem,) = caught.value.problems
    version = Registry.installed().find("Metrics").package  # type: ignore[union-attr]
    assert problem.message == (
        f"Logging is offered by acme 1.0 and {version}; "
        'say which one by "acme:Fine" or "wspipe_middlewares:Logging"'
    )
    config = Config.load(pipeline_of("Metrics", "wspipe_middlewares:Logging", "Fine"))
    assert config.stages[1].middleware == Logging()
    assert names_in(invoke("schema")[1])[1] == sorted({*BUILT_IN, "Fine"} - {"Logging"})


@pytest.mark.parametrize("name", ["acme-limits", "Acme_Limits", "acme-limits-checkout"])
def test_a_package_that_is_on_the_path_twice_is_one(name: str, site: Callable[[str], Site]) -> None:
    site("second").add("acme-limits 1.4.2", {"Fine": "acme_fine:Fine"}, acme_fine=FINE)
    site("first").add(f"{name} 1.5", {"Fine": "acme_fine:Fine"}, acme_fine=FINE)
    (plugin,) = [plugin for plugin in Registry.installed() if plugin.name == "Fine"]
    assert plugin.package == f"{name} 1.5"  # whose module it is that Python finds
    assert list(plugin.options) == ["often"]
    Config.load(pipeline_of("Fine"))
    code, told = invoke("middlewares", "Fine", "--json")
    assert (code, len(told["middlewares"])) == (0, 1)


def test_the_extras_of_an_entry_point_are_no_part_of_its_name(site: Callable[[str], Site]) -> None:
    site("site").add("acme 1.0", {"Fine": "acme:Fine [fast]"}, acme=FINE)
    plugin = Registry.installed().find("Fine")
    assert plugin is not None
    assert list(plugin.options) == ["often"]


def test_a_docstring_that_cannot_be_taken_apart_is_no_reason_to_fail(
    site: Callable[[str], Site],
) -> None:
    source = FINE.replace("        often: How often.\n", "")
    assert 'Args:\n    "' in source
    site("site").add("acme 1.0", {"Fine": "acme:Fine"}, acme=source)
    code, told = invoke("middlewares", "Fine", "--json")
    assert code == 0
    (fine,) = told["middlewares"]
    assert fine["summary"] == "Do nothing, well."
    assert [(each["name"], each["description"]) for each in fine["options"]] == [("often", "")]
    assert "Fine" in names_in(invoke("schema")[1])[1]


def test_a_plugin_without_a_distribution_is_of_unknown_origin() -> None:
    (plugin,) = [plugin for plugin in Registry.installed() if plugin.name == "Logging"]
    entry = plugin.entry_point
    loose = type(plugin)(type(entry)(entry.name, "acme_nowhere:Fine", entry.group))
    with pytest.raises(BrokenPlugin, match=r"^plugin Logging of unknown is broken: "):
        _ = loose.options
