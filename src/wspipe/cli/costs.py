"""What a pipeline costs, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from wspipe.exceptions import WSPipeException

Measure: TypeAlias = Literal["message_time", "message_bytes", "connection_time", "connection_bytes"]
"""What is measured: the fields of `StageCost`."""


class MeasurementError(WSPipeException):
    """A stage does not let itself be measured.

    Args:
        stage: Its name.
        problem: What it did.
    """

    stage: str

    def __init__(self, stage: str, problem: str) -> None:
        super().__init__(
            detail=f"{stage} is in the way of the measurement: {problem}; a method rehearsal(), "
            "which gives a copy with no effect outside the process and never in the way, lets it "
            "be measured"
        )
        self.stage = stage


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage costs beyond the stages before it.

    Attributes:
        stage: The name of its type; for a function, its own.
        message_time: Nanoseconds that one message in and one out, an echo, takes in it.
        message_bytes: Bytes that it adds to the peak of memory during one echo.
        connection_time: Nanoseconds for opening and ending a connection, with what its first
            message takes longer than the next.
        connection_bytes: Bytes that an open connection holds while it waits for a message.
    """

    stage: str
    message_time: float
    message_bytes: int
    connection_time: float
    connection_bytes: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What a pipeline costs.

    Attributes:
        base: The server in memory and the echo application, without wspipe.
        stages: The stages in the order of the pipeline, the wire stage first.
    """

    base: StageCost
    stages: tuple[StageCost, ...]

    @property
    def message_time(self) -> float:
        """Nanoseconds of all stages for an echo, the base left out."""
        return sum(stage.message_time for stage in self.stages)

    @property
    def message_bytes(self) -> int:
        """Bytes of all stages at the peak of an echo."""
        return sum(stage.message_bytes for stage in self.stages)

    @property
    def connection_time(self) -> float:
        """Nanoseconds of all stages for opening and ending a connection."""
        return sum(stage.connection_time for stage in self.stages)

    @property
    def connection_bytes(self) -> int:
        """Bytes of all stages in an open connection."""
        return sum(stage.connection_bytes for stage in self.stages)

    def share(self, stage: StageCost, measure: Measure) -> float:
        """Tell a stage's part of what all stages cost, in percent; 0 where that is nothing.

        Args:
            stage: One of the stages.
            measure: What is compared.
        """
        whole: float = getattr(self, measure)
        return 100 * getattr(stage, measure) / whole if whole else 0.0
