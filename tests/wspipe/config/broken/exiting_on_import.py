"""A program that was taken for a module."""

import sys

sys.exit("usage: exiting_on_import PORT")
