"""What a pipeline consists of, with what it inherits from the one that it extends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wspipe.config.problems import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wspipe.config.declarations import PipelineDeclaration, StageDeclaration
    from wspipe.config.positions import KeyPath
    from wspipe.config.problems import Problems


class Inheritance:
    """Works out the stages of pipelines that extend each other.

    Args:
        pipelines: The pipelines by their names.
        problems: Where to note what is wrong.
    """

    def __init__(self, pipelines: Mapping[str, PipelineDeclaration], problems: Problems) -> None:
        self._pipelines = pipelines
        self._problems = problems
        self._resolved: dict[str, tuple[StageDeclaration, ...]] = {}
        self._incomplete: set[str] = set()

    def stages_of(self, name: str) -> tuple[StageDeclaration, ...]:
        """Give the stages of a pipeline, the first closest to the server.

        Args:
            name: One of the pipelines.
        """
        # From the one that extends nothing to this one, without recursion: a file may chain many.
        for each in reversed(self._chain(name)):
            if each not in self._resolved:
                self._resolved[each] = self._assemble(self._pipelines[each])
        return self._resolved[name]

    def _chain(self, name: str) -> list[str]:
        chain = [name]
        while chain[-1] not in self._resolved:
            pipeline = self._pipelines[chain[-1]]
            base, path = pipeline.extends, (*pipeline.path, "extends")
            if base is None:
                break
            if base in chain:
                circle = " extends ".join(map(shown, [*chain[chain.index(base) :], base]))
                self._problems.add(path, f"goes in a circle: {circle}", given=base)
                break
            if base not in self._pipelines:
                break
            chain.append(base)
        return chain

    def _assemble(self, pipeline: PipelineDeclaration) -> tuple[StageDeclaration, ...]:
        stages: list[StageDeclaration] = []
        base = pipeline.extends
        if not pipeline.complete:
            self._incomplete.add(pipeline.name)
        if base is not None:
            if base not in self._pipelines:
                path = (*pipeline.path, "extends")
                others = self._pipelines.keys() - {pipeline.name}
                self._problems.unknown(path, "there is no other pipeline", base, others)
            if base not in self._resolved or base in self._incomplete:
                self._incomplete.add(pipeline.name)
            stages = list(self._resolved.get(base, ()))
        for i, use in enumerate(pipeline.without):
            kept = [stage for stage in stages if stage.use != use]
            if len(kept) == len(stages):
                self._not_found(pipeline.name, (*pipeline.path, "without", i), use, stages)
            stages = kept
        for stage in pipeline.stages:
            self._put(stage, stages)
        return tuple(stages)

    def _put(self, stage: StageDeclaration, stages: list[StageDeclaration]) -> None:
        if stage.place is None:
            stages.append(stage)
            return
        path = (*stage.path, stage.place)
        found = [i for i, each in enumerate(stages) if each.use == stage.other]
        if not found:
            self._not_found(stage.pipeline, path, stage.other, stages)
        elif len(found) > 1:
            self._problems.add(
                path,
                f"the pipeline has {len(found)} stages {shown(stage.other)} so far; "
                "which one is meant cannot be told",
                given=stage.other,
            )
        else:
            first = found[0] + (stage.place == "after")
            stages[first : first + (stage.place == "replace")] = [stage]

    def _not_found(
        self, pipeline: str, path: KeyPath, use: str, stages: list[StageDeclaration]
    ) -> None:
        if pipeline in self._incomplete:
            return  # it may be in what is missing
        so_far = {stage.use for stage in stages}
        self._problems.unknown(path, "the pipeline has so far no stage", use, so_far)
