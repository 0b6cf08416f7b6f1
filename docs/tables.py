"""Tables of the reference, made from the code that they tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sphinx.util.docutils import SphinxDirective

from wspipe import CLOSE_CODES
from wspipe.config.keys import PIPELINE_KEYS, ROUTE_KEYS, STAGE_KEYS, TOP_KEYS
from wspipe.state_machine import RULES
from wspipe_middlewares.logging.fields import LOG_FIELDS
from wspipe_middlewares.names import ATTRIBUTES, METRICS, SPANS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from docutils import nodes
    from sphinx.application import Sphinx


def table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
    """Write a table in Markdown, its head as `a | b`."""
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|" + " --- |" * columns]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def rules_of(sender: str) -> str:
    """Tell the state machine's rows of one sender."""
    every_received = frozenset[str]().union(*(rule.received for rule in RULES))
    every_sent = frozenset[str]().union(*(rule.sent for rule in RULES))
    return table(
        "event | received so far | answered so far | then",
        (
            (
                f"`{rule.event}`",
                _any_of(rule.received, every_received),
                _any_of(rule.sent, every_sent),
                rule.then,
            )
            for rule in RULES
            if rule.sender == sender
        ),
    )


def _any_of(states: frozenset[str], every: frozenset[str]) -> str:
    return "any" if states == every else " or ".join(sorted(states))


def keys(of: Mapping[str, str]) -> str:
    """Tell the keys of a part of a configuration."""
    return table("key | what it is", ((f"`{name}`", meaning) for name, meaning in of.items()))


def close_codes() -> str:
    """Tell the close codes."""
    return table(
        "code | name | `closed_by` | may be sent | an ordinary end | source",
        (
            (
                str(code),
                each.name,
                each.closed_by,
                "yes" if each.is_sendable else "never",
                "yes" if each.is_ordinary else "",
                each.source,
            )
            for code, each in CLOSE_CODES.items()
        ),
    )


def log_fields() -> str:
    """Tell the fields of log lines."""
    every = max((each.lines for each in LOG_FIELDS.values()), key=len)
    return table(
        "field | of | what it tells",
        (
            (f"`{name}`", "all" if each.lines == every else ", ".join(each.lines), each.meaning)
            for name, each in LOG_FIELDS.items()
        ),
    )


def spans() -> str:
    """Tell the spans."""
    return table(
        "name | kind | lasts | asked for by",
        (
            (f"`{each.operation} {{route}}`", each.kind, each.lasts, each.option or "nothing")
            for each in SPANS
        ),
    )


def attributes() -> str:
    """Tell the attributes of spans and metrics."""
    return table(
        "attribute | spans | what it tells | precedent",
        (
            (f"`{name}`", each.spans, each.meaning, each.precedent)
            for name, each in ATTRIBUTES.items()
        ),
    )


def metrics() -> str:
    """Tell the metrics."""
    return table(
        "metric | kind, unit | what it tells | attributes | precedent",
        (
            (
                f"`{each.name}`",
                f"{each.kind}, `{each.unit}`",
                each.description + (f" Only with `{each.option}=True`." if each.option else ""),
                ", ".join(f"`{name}`" for name in each.attributes),
                each.precedent,
            )
            for each in METRICS
        ),
    )


TABLES = {
    "events of the server": lambda: rules_of("server"),
    "events of the application": lambda: rules_of("application"),
    "keys of a file": lambda: keys(TOP_KEYS),
    "keys of a pipeline": lambda: keys(PIPELINE_KEYS),
    "keys of a stage": lambda: keys(STAGE_KEYS),
    "keys of a route": lambda: keys(ROUTE_KEYS),
    "close codes": close_codes,
    "log fields": log_fields,
    "spans": spans,
    "attributes": attributes,
    "metrics": metrics,
}


class TableOf(SphinxDirective):
    """A table of the above, by its name."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Have the table parsed as Markdown."""
        (name,) = self.arguments
        return self.parse_text_to_nodes(TABLES[name]())


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("table-of", TableOf)
