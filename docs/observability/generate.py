"""Write dashboard.json and alerts.yaml, from the names in `wspipe_middlewares.names`.

Run it after a change to the names: `python docs/observability/generate.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

from alerts import Alert, alerts
from dashboard import dashboard


def files() -> dict[str, str]:
    """Give the files by name, as they should be."""
    rules = "\n".join(map(_rule, alerts()))
    note = "# Written by generate.py; change it there."
    return {
        "dashboard.json": json.dumps(dashboard(), indent=2) + "\n",
        "alerts.yaml": f"{note}\ngroups:\n  - name: wspipe\n    rules:\n{rules}",
    }


def _rule(alert: Alert) -> str:
    # JSON's strings are YAML's too.
    return f"""\
      - alert: {alert.name}
        expr: {json.dumps(alert.query)}
        for: {alert.lasting}
        labels:
          severity: {alert.severity}
        annotations:
          summary: {json.dumps(alert.summary)}
          description: {json.dumps(alert.description)}
"""


if __name__ == "__main__":
    for name, text in files().items():
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")
