"""What is legal in a configuration, but probably not meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wspipe.config.problems import Problems, listed, shown
from wspipe.pipeline import may_reject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wspipe.config.building import Stage
    from wspipe.config.config import Config, NamedPipeline
    from wspipe.config.positions import KeyPath
    from wspipe.types import Middleware

_FOREIGN = re.compile(r"/:\w|<\w+>")
"""How other routers write what varies."""
_NO_DEFAULT = (
    "there is no default, so connections that no route matches get no pipeline; give one, which "
    "may be empty"
)
_CROSS_SITE = (
    "browsers send cookies whatever page connects, and nothing in pipeline {} checks the origin: "
    "any site could talk to the application as its visitors; add a middleware that checks it"
)


def review(config: Config) -> Problems:
    """Look for what is legal, but probably not meant.

    What stages say of themselves is believed: see `wspipe.Middleware`.

    Args:
        config: The configuration.

    Returns:
        The warnings.
    """
    warnings = Problems(config.document)
    seen: set[tuple[int, str]] = set()
    for pipeline in config.pipelines.values():
        for stage, advice in _stage_advice(pipeline):
            # A stage that is inherited is advised on once.
            if (id(stage), advice) not in seen:
                seen.add((id(stage), advice))
                warnings.add(stage.declaration.path, advice, level="warning")
    for path, advice in (
        *_default_advice(config),
        *_unused_pipelines(config),
        *_route_advice(config),
    ):
        warnings.add(path, advice, level="warning")
    return warnings


def _stage_advice(pipeline: NamedPipeline) -> Iterable[tuple[Stage, str]]:
    stages = pipeline.stages
    middlewares = [stage.middleware for stage in stages]
    for position, stage in enumerate(stages):
        before, behind = middlewares[:position], middlewares[position + 1 :]
        for advice in (
            *_observer_advice(stage, stages[:position]),
            *(
                list(_own_advice(stage.middleware, before, behind))
                or _duplicate_advice(stage, stages[:position])
            ),
        ):
            yield stage, advice


def _observer_advice(stage: Stage, before: Sequence[Stage]) -> Iterable[str]:
    if getattr(stage.middleware, "observes", False):
        rejecting = [each.declaration.use for each in before if may_reject(each.middleware)]
        if rejecting:
            names = listed(rejecting)
            yield (
                f"{stage.declaration.use} does not see the connections that {names} rejects; "
                "put it before, closer to the server"
            )


def _duplicate_advice(stage: Stage, before: Sequence[Stage]) -> Iterable[str]:
    for each in before:
        if each.middleware is stage.middleware or each.is_like(type(stage.middleware), stage.given):
            yield f"is a second {stage.declaration.use} with the same options; leave one out"
            return


def _own_advice(
    middleware: Middleware, before: Sequence[Middleware], behind: Sequence[Middleware]
) -> Iterable[str]:
    review_place: Any = getattr(middleware, "review", None)
    try:
        return () if review_place is None else list(review_place(before, behind))
    except Exception as error:  # noqa: BLE001 - the code is somebody else's
        return (f"could not tell what it thinks of its place: {type(error).__name__}",)


def _default_advice(config: Config) -> Iterable[tuple[KeyPath, str]]:
    if config.default is None:
        yield (), _NO_DEFAULT


def _unused_pipelines(config: Config) -> Iterable[tuple[KeyPath, str]]:
    if config.default is None and not config.routes:
        return  # they are for code that asks for them by name
    used = {config.default, *(route.pipeline for route in config.routes)}
    used |= {pipeline.extends for pipeline in config.pipelines.values()}
    for name in config.pipelines:
        if name not in used:
            yield (
                ("pipelines", name),
                "no route leads to it, nothing extends it, and it is not the default",
            )


def _route_advice(config: Config) -> Iterable[tuple[KeyPath, str]]:
    for i, route in enumerate(config.routes):
        if _FOREIGN.search(route.path.text):
            yield (
                (*route.at, "path"),
                "is taken as it stands; a part that varies is a name in braces",
            )
        # Nearly always the route is the first that takes a connection such as it asks for, so that
        # no other can take all of them.
        first_one = config.route_of(route.sample)
        for first in () if first_one is route else config.routes[:i]:
            if first.covers(route):
                yield (
                    route.at,
                    f"no connection gets here: {shown(first.path.text)} before it matches them all",
                )
                break
        stages = config.pipelines[route.pipeline].stages
        if route.cookies and not any(
            getattr(stage.middleware, "checks_origin", False) for stage in stages
        ):
            yield (
                (*route.at, "cookies"),
                _CROSS_SITE.format(route.pipeline),
            )
