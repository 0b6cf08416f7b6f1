"""How Sphinx builds the documentation; warnings are errors."""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING, Any

from sphinx.util.docutils import SphinxDirective

from wspipe.state_machine import RULES

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

project = "wspipe"
author = "The wspipe authors"
copyright = "The wspipe authors"
release = metadata.version("wspipe")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"wspipe {release}"

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_use_ivar = True
napoleon_use_rtype = False

# Single backticks in a docstring name an object where there is one of that name, else they are code.
default_role = "py:obj"


def reference_or_code(_app: Sphinx, _env: Any, node: Any, content: nodes.Node) -> Any:
    """Give the text of a single-backtick reference that names no documented object."""
    return content if node["reftype"] == "obj" else None


def headings_of_docstrings(
    _app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    """Turn a heading in a docstring, `# Order`, into one that reStructuredText knows."""
    lines[:] = [re.sub(r"^# (.+)$", r".. rubric:: \1", line) for line in lines]


class RulesOfSender(SphinxDirective):
    """The rows of the state machine's table for one sender, as a Markdown table."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the table from `wspipe.state_machine.RULES`."""
        sender = self.arguments[0]
        title = {"server": "server has told", "application": "application has answered"}[sender]
        rows = [
            f"| `{rule.event}` | {_any_of(rule.received)} | {_any_of(rule.sent)} | {rule.then} |"
            for rule in RULES
            if rule.sender == sender
        ]
        head = ["| event | received so far | answered so far | then: what the " + title + " |"]
        return self.parse_text_to_nodes("\n".join([*head, "| --- | --- | --- | --- |", *rows]))


_STATES = {
    "received": tuple(dict.fromkeys(s for rule in RULES for s in sorted(rule.received))),
    "sent": tuple(dict.fromkeys(s for rule in RULES for s in sorted(rule.sent))),
}


def _any_of(states: frozenset[str]) -> str:
    return "any" if states in map(frozenset, _STATES.values()) else ", ".join(sorted(states))


def setup(app: Sphinx) -> None:
    """Connect what is defined here."""
    app.connect("missing-reference", reference_or_code)
    app.connect("autodoc-process-docstring", headings_of_docstrings)
    app.add_directive("rules-of", RulesOfSender)
