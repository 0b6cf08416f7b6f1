"""The command `wspipe`, which comes with the extra `cli`."""

import sys
from importlib import import_module


def main() -> None:
    """Run the command; where the extra is missing, say so in one line and exit with 2."""
    try:
        for library in ("docstring_parser", "rich", "typer", "uvicorn", "websockets"):
            import_module(library)
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"wspipe: {error.name} is not installed; the command needs pip install 'wspipe[cli]'\n"
        )
        sys.exit(2)
    from wspipe.cli.command import app  # noqa: PLC0415 - it imports what was just looked for
    from wspipe.config.references import told  # noqa: PLC0415 - likewise

    try:
        app(prog_name="wspipe")
    except Exception as error:  # noqa: BLE001 - a traceback is for those who write the code
        sys.stderr.write(
            f"wspipe: a fault of wspipe, or of a package that it uses: {told(error)}\n"
        )
        sys.exit(2)
