"""Queries for our metrics, whose names are made of OpenTelemetry's as Prometheus has them.

The rules are those of OpenTelemetry's "Prometheus and OpenMetrics Compatibility": what is no letter
or digit becomes `_`, the unit is a suffix, and a counter ends in `_total`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wspipe_middlewares.names import Metric

_UNITS: Final = {"s": "seconds", "By": "bytes"}
_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9]+")


def label(attribute: str) -> str:
    """Name the label that an attribute becomes."""
    return _NO_NAME.sub("_", attribute)


def series(metric: Metric, part: str = "") -> str:
    """Name the series of a metric.

    Args:
        metric: The metric.
        part: Of a histogram, `"bucket"`, `"count"` or `"sum"`.
    """
    name, unit = label(metric.name), _UNITS.get(metric.unit)
    if unit is not None and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    if metric.kind == "counter":
        part = "total"
    return f"{name}_{part}" if part else name


def matcher(attribute: str, operator: str, value: str) -> str:
    """Match the label of an attribute, such as `error_type!=""`."""
    return f'{label(attribute)}{operator}"{value}"'


def select(name: str, matchers: Iterable[str]) -> str:
    """Select those of a series that match."""
    inside = ", ".join(matchers)
    return f"{name}{{{inside}}}" if inside else name


def total(metric: Metric, by: Iterable[str], matchers: Iterable[str]) -> str:
    """Add up what a metric says now.

    Args:
        metric: An up-down counter.
        by: The attributes to tell apart.
        matchers: What to count in.
    """
    return f"{_sum_by(metric, by)}({select(series(metric), matchers)})"


def per_second(metric: Metric, by: Iterable[str], matchers: Iterable[str], window: str) -> str:
    """Count how many there were per second.

    Args:
        metric: A counter, or a histogram, of which it takes the count.
        by: The attributes to tell apart.
        matchers: What to count in.
        window: Over which time, such as `"5m"`.
    """
    name = series(metric, "count" if metric.kind == "histogram" else "")
    return f"{_sum_by(metric, by)}(rate({select(name, matchers)}[{window}]))"


def slope(metric: Metric, matchers: Iterable[str], window: str) -> str:
    """Tell by how much an up-down counter grew per second.

    Args:
        metric: The up-down counter.
        matchers: What to count in.
        window: Over which time, such as `"5m"`.
    """
    return f"sum(deriv({select(series(metric), matchers)}[{window}]))"


def quantile(
    share: float, metric: Metric, by: Iterable[str], matchers: Iterable[str], window: str
) -> str:
    """Estimate the value that a share of a histogram's values does not exceed.

    Args:
        share: 0 to 1; 0.5 is the median.
        metric: The histogram.
        by: The attributes to tell apart.
        matchers: What to count in.
        window: Over which time, such as `"5m"`.
    """
    buckets = select(series(metric, "bucket"), matchers)
    grouping = _sum_by(metric, by, "le")
    return f"histogram_quantile({share:g}, {grouping}(rate({buckets}[{window}])))"


def _sum_by(metric: Metric, by: Iterable[str], *more: str) -> str:
    attributes = tuple(by)
    # What scrapes adds the job.
    if unknown := set(attributes) - {*metric.attributes, "job"}:
        raise ValueError(f"{metric.name} has no attribute {', '.join(sorted(unknown))}")
    labels = ", ".join((*more, *map(label, attributes)))
    return f"sum by ({labels}) " if labels else "sum"
