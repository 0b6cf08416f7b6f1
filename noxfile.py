"""What `.ci/run` leaves out because it takes long: see `nox -l`."""

from __future__ import annotations

from pathlib import Path

import nox

PYTHONS = nox.project.python_versions(
    nox.project.load_toml("pyproject.toml"), max_version="3.14"
)  # fmt: skip

nox.options.default_venv_backend = "venv"


def install(session: nox.Session) -> None:
    """Install wspipe from here with what its tests need, in the versions that are checked."""
    session.install("pip>=25.1")
    session.install("-c", "constraints.txt", "-e", ".[cli]", "--group", "test")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests with each version of Python; what is named behind `--` goes to pytest."""
    install(session)
    session.run("pytest", *(session.posargs or ["-n", "2"]))


@nox.session(python=PYTHONS[0])
def pages(session: nox.Session) -> None:
    """Follow each page with the wheel alone, in an environment of its own."""
    install(session)
    folder = Path(session.create_tmp())
    session.run("pip", "wheel", "-q", "--no-deps", "-w", str(folder), ".")
    (wheel,) = folder.glob("*.whl")
    session.run("pytest", "tests/docs", *session.posargs, env={"WSPIPE_WHEEL": str(wheel)})
