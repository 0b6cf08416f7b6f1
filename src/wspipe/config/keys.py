"""The keys of a configuration, and what each means."""

from __future__ import annotations

from typing import Final

TOP_KEYS: Final = {
    "default": (
        "The pipeline of connections that no route matches. Without it they get an empty one, "
        "which `wspipe check` warns of. Where there are no routes and one pipeline only, that is "
        "the default."
    ),
    "pipelines": "The pipelines by their names.",
    "routes": "An array; the first that matches a connection decides.",
    "$schema": "For editors. Ignored.",
    "$sources": "What `wspipe show --json` adds. Ignored.",
}

PIPELINE_KEYS: Final = {
    "middlewares": "Its stages, the first closest to the server.",
    "extends": (
        "A pipeline whose stages come first. They are the very same stages: a rate limit there "
        "counts for both pipelines together."
    ),
    "without": "Stages to leave out of what it extends, by their `use`.",
}

STAGE_KEYS: Final = {
    "use": (
        "The middleware: a name that an installed package has registered (`wspipe middlewares` "
        'lists them), or `"module:attribute"` for a class that is a frozen dataclass, or for a '
        "middleware that your code has made, such as one of `on_receive`."
    ),
    "before": (
        "Another stage of the pipeline so far, by its `use`, before which to put this one: closer "
        "to the server. Left out, it comes last."
    ),
    "after": "Another stage, after which to put this one: closer to the application.",
    "replace": "Another stage, in the place of which to put this one.",
}
"""Those of a stage that are no options of its middleware."""

ROUTE_KEYS: Final = {
    "path": (
        "A pattern for the whole path, decoded and without the `root_path` at which a proxy or a "
        "framework has the application. `{name}` stands for one or more characters without a "
        "slash, `*` for any, also none; `/admin/*` takes `/admin` too. All else stands for itself. "
        "A slash at the end, and several in a row, make no difference, since some frameworks take "
        "them for the same path."
    ),
    "host": (
        "A name, or `*.` and a name for all below it. Compared with the `Host` header, without "
        "port and case. Left out, any."
    ),
    "pipeline": "The name of the pipeline that its connections get.",
    "cookies": (
        "`true` where the application behind it believes cookies. Changes nothing but what `wspipe "
        "check` looks for: that the origin is checked."
    ),
}
