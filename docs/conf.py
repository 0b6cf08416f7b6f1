"""How Sphinx builds the documentation; warnings are errors."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wspipe

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "wspipe"
author = "The wspipe authors"
copyright = "The wspipe authors"
release = metadata.version("wspipe")

sys.path.insert(0, str(Path(__file__).parent))
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "tables"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"wspipe {release}"
html_static_path = ["_static"]
html_css_files = ["output.css"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

# Show these types by their names, not by what they stand for.
_ALIASES = {
    "wspipe.app": ("Handler",),
    "wspipe.connection": ("ConnectionState",),
    "wspipe.interceptors": ("Interceptor",),
    "wspipe.serialization": ("Serializer",),
    "wspipe.types": ("ASGIApp", "Event", "Receive", "Scope", "Send"),
    "wspipe.messages": ("Mode",),
}
autodoc_type_aliases = {
    name: f"{module}.{name}" for module, names in _ALIASES.items() for name in names
}

# Objects outside this documentation, which is built without the network.
nitpick_ignore = {
    ("py:class", "CIMultiDictProxy"),  # multidict
    ("py:class", "MultiDictProxy"),
    ("py:class", "URL"),  # yarl
    ("py:class", "AbstractContextManager"),
    ("py:class", "datetime.datetime"),
    ("py:class", "hypothesis.strategies.SearchStrategy"),
    ("py:class", "T"),  # what a function under a FakeClock returns
    ("py:class", "Finding"),  # what the kit found
    ("py:class", "Sender"),  # of a step of a conversation
    ("py:class", "Action"),
    ("py:class", "FilteringBoundLogger"),  # structlog
    ("py:class", "EventDict"),
    ("py:class", "MeterProvider"),  # OpenTelemetry
    ("py:class", "opentelemetry.metrics.MeterProvider"),
    ("py:class", "opentelemetry.trace.TracerProvider"),
    ("py:class", "Decorator"),  # what on_receive and on_send are without a function
    ("py:class", "Key"),  # what the options of a rate limit may be, as their texts say
    ("py:class", "OnLimit"),
    ("py:class", "OnStoreError"),
    ("py:class", "Source"),  # what a configuration may be, as the texts say
    ("py:class", "Builder"),
    ("py:class", "Document"),
    ("py:class", "Declarations"),  # what a configuration consists of inside
    ("py:class", "KeyPath"),
    ("py:class", "Position"),
    ("py:class", "wspipe.config.building.Stage"),
    ("py:class", "wspipe.config.declarations.RouteDeclaration"),
    ("py:class", "wspipe.config.options.Option"),
    ("py:class", "wspipe.scope.Auth"),  # the type variables of a connection
    ("py:class", "wspipe.scope.User"),
}
nitpick_ignore_regex = {("py:class", r"(collections|contextlib|importlib)\..*")}

# Single backticks in a docstring name an object where there is one, else they are code.
default_role = "py:obj"


def public_name_or_code(
    app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.TextElement
) -> nodes.Node | None:
    """Find a public name of wspipe from any module; leave what is no name at all as code."""
    kind, name = node["reftype"], node["reftarget"]
    if name in wspipe.__all__:
        target = autodoc_type_aliases.get(name, f"wspipe.{name}")
        domain = env.domains.python_domain
        return domain.resolve_xref(env, node["refdoc"], app.builder, kind, target, node, content)
    return content if kind == "obj" else None


def headings_of_docstrings(
    _app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    """Turn a heading in a docstring, `# Order`, into one that reStructuredText knows."""
    lines[:] = [re.sub(r"^# (.+)$", r".. rubric:: \1", line) for line in lines]


def setup(app: Sphinx) -> None:
    """Connect the above to Sphinx."""
    app.connect("missing-reference", public_name_or_code)
    app.connect("autodoc-process-docstring", headings_of_docstrings)
