"""What was measured: printed as a table, and kept for a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Overhead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measuring import Times


@dataclass
class Table:
    """The overheads of some contenders, in one unit.

    Attributes:
        title: What was measured.
        base: The contender that is taken off.
        peer: The contender that the others are a share of.
        unit: The unit of a time.
        rows: The overheads by contender.
        bounds: The most that a contender's share may be, by contender.
    """

    title: str
    base: str
    peer: str
    unit: str = "ns"
    rows: dict[str, Overhead] = field(default_factory=dict[str, Overhead])
    bounds: Mapping[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of(cls, title: str, times: Times, peer: str, bounds: Mapping[str, float]) -> Table:
        """Compare the contenders of a run, the first of which is the base."""
        base = next(iter(times))
        table = cls(title, base, peer, bounds=bounds)
        for name, own in times.items():
            if name != base:
                table.rows[name] = Overhead.of(own, times[base], times[peer])
        return table

    def show(self) -> None:
        """Print it."""
        print(f"\n{self.title}: over {self.base}, and as a share of {self.peer}'s")
        print(f"  {'':30}{'minimum':>12}{'share':>8}{'median':>13}{'share':>8}")
        for name, row in self.rows.items():
            print(
                f"  {name:30}{row.minimum:>9,.0f} {self.unit}{row.of_minimum:>8.3f}"
                f"{row.median:>10,.0f} {self.unit}{row.of_median:>8.3f}{self._verdict(name)}"
            )

    def _verdict(self, name: str) -> str:
        bound = self.bounds.get(name)
        if bound is None:
            return ""
        row = self.rows[name]
        holds = max(row.of_minimum, row.of_median) <= bound
        return f"  at most {bound:.2f}: {'holds' if holds else 'OVER'}"

    def as_dict(self) -> dict[str, Any]:
        """Give it for a file."""
        return {**asdict(self), "bounds": dict(self.bounds)}
