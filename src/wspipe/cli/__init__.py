"""The command `wspipe`, which comes with the extra `cli`."""

import sys
from importlib import import_module


def main() -> None:
    """Run the command; where the extra is missing, say so in one line and exit with 2."""
    try:
        for library in ("rich", "typer", "uvicorn", "websockets"):
            import_module(library)
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"wspipe: {error.name} is not installed; the command needs pip install 'wspipe[cli]'\n"
        )
        sys.exit(2)
    from wspipe.cli.command import app  # noqa: PLC0415 - it imports what was just looked for

    app(prog_name="wspipe")
