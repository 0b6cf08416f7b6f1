"""`wspipe middlewares`: what is installed, and what it takes."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from wspipe.cli.describing import descriptions_of, summary_of
from wspipe.cli.output import FINDINGS, console, fail, print_json
from wspipe.config import BrokenPlugin, Plugin, Registry
from wspipe.config.effective import Unsayable, said
from wspipe.config.kinds import NONE
from wspipe.config.problems import listed, nearest_to, shown


def middlewares(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Tell of this one only.")
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell which middlewares are installed, and their options with types, defaults and meaning.

    Exits with 1 where one is broken.
    """
    registry = Registry.installed()
    plugins = [plugin for plugin in registry if name is None or plugin.name == name]
    if not plugins:
        nearest = nearest_to(name or "", registry.names)
        advice = f" Did you mean {nearest}?" if nearest else ""
        fail(f"there is no middleware {shown(name)}.{advice} There are {listed(registry.names)}")
    told = [_told(plugin) for plugin in plugins]
    if json:
        print_json({"middlewares": told})
    else:
        for each in told:
            _print(each)
    if any("error" in each for each in told):
        raise typer.Exit(FINDINGS)


def _told(plugin: Plugin) -> dict[str, Any]:
    about = {"name": plugin.name, "package": plugin.package, "class": plugin.entry_point.value}
    try:
        middleware, options = plugin.middleware, plugin.options
    except BrokenPlugin as error:
        return {**about, "error": str(error)}
    descriptions = descriptions_of(middleware)
    return {
        **about,
        "summary": summary_of(middleware),
        "options": [
            {
                "name": option.name,
                "type": str(option.kind),
                "required": option.required,
                **_default(option.default),
                "description": descriptions.get(option.name, ""),
            }
            for option in options.values()
        ],
    }


def _default(default: Any) -> dict[str, Any]:
    try:
        return {"default": said(default)}
    except Unsayable:
        return {}


def _print(about: dict[str, Any]) -> None:
    title = Text(about["name"], style="bold cyan")
    title.append(f"  {about['class']}, from {about['package']}", style="dim")
    console().print(title, soft_wrap=True)
    if "error" in about:
        console().print(Text(f"  {about['error']}", style="red"), soft_wrap=True)
    else:
        console().print(Text(f"  {about['summary']}"), soft_wrap=True)
        table = Table("option", "takes", "default", "meaning", box=None, padding=(0, 2, 0, 2))
        for option in about["options"]:
            default = ""
            if "default" in option:
                default = NONE if option["default"] is None else shown(option["default"])
            if option["required"]:
                default = "must be given"
            cells = (option["name"], option["type"], default, option["description"])
            table.add_row(*map(Text, cells))
        console().print(table)
    console().print()
