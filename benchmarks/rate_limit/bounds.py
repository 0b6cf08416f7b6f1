"""Bounds: what has to hold, and what did not."""

from __future__ import annotations


class Bounds:
    """Prints whether each bound holds, and remembers those that do not.

    Args:
        quick: Whether the run is too short for what depends on the machine's mood; such bounds are
            then printed only.
    """

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.broken: list[str] = []

    def check(self, what: str, *, holds: bool, timing: bool = False) -> None:
        """Print one bound.

        Args:
            what: The bound, and the figure.
            holds: Whether it holds.
            timing: Whether it depends on how fast the machine is at the moment.
        """
        word = "holds" if holds else "DOES NOT HOLD"
        excused = not holds and timing and self.quick
        print(f"  bound {word}: {what}{' (not counted in a quick run)' if excused else ''}")
        if not holds and not excused:
            self.broken.append(what)

    def conclude(self) -> int:
        """Print what is broken; give the exit code."""
        if not self.broken:
            print("\nall bounds hold")
            return 0
        print("\nthese bounds do not hold:")
        for what in self.broken:
            print(f"  {what}")
        return 1
