"""Check that the wheel holds both packages, typed, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile

PACKAGES = {"src/wspipe": "wspipe", "middlewares/wspipe_middlewares": "wspipe_middlewares"}
KINDS = {"py", "typed", "html", "lua"}


def main(wheel: str) -> int:
    """Compare the wheel's files with those of the source tree."""
    held = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected: set[str] = set()
    for folder, package in PACKAGES.items():
        files = (path for path in Path(folder).rglob("*") if path.is_file())
        expected |= {
            f"{package}/{path.relative_to(folder).as_posix()}"
            for path in files
            if "__pycache__" not in path.parts
        }
    typed = {f"{package}/py.typed" for package in PACKAGES.values()}
    kinds = {name.rpartition(".")[2] for name in held}
    problems = [
        *(f"missing: {name}" for name in sorted((expected | typed) - held)),
        *(f"unexpected: {name}" for name in sorted(held - expected)),
        *(f"unexpected kind of file: .{kind}" for kind in sorted(kinds - KINDS)),
    ]
    print("\n".join(problems) or f"{len(held)} files, as expected")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
