"""`python -m wspipe` is the command `wspipe`."""

from wspipe.cli import main

main()
