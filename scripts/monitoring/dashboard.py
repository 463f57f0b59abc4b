"""A Grafana dashboard in JSON, as far as it asks Prometheus anything."""

import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """One expression of a panel, and what its series are called."""

    expression: str
    legend: str


class Panel:
    """One panel. Rows are panels as well, without targets."""

    def __init__(self, json_of_it):
        self.json = json_of_it
        self.kind = json_of_it["type"]
        self.title = json_of_it.get("title", "")
        self.grid = json_of_it["gridPos"]
        self.targets = [Target(t["expr"], t.get("legendFormat", "")) for t in json_of_it.get("targets", [])]

    @property
    def defaults(self):
        """The settings of its fields: unit, thresholds, mappings."""
        return self.json.get("fieldConfig", {}).get("defaults", {})

    @property
    def unit(self):
        """Grafana's name of its unit, if it has one."""
        return self.defaults.get("unit", "")


class Dashboard:
    """All panels, in their order, and the questions beside them."""

    def __init__(self, path):
        self.json = json.loads(Path(path).read_text(encoding="utf-8"))
        self.panels = [Panel(panel) for panel in self.json["panels"]]

    @property
    def variables(self):
        """What the person in front of it can choose: name and settings."""
        return {variable["name"]: variable for variable in self.json["templating"]["list"]}

    @property
    def annotations(self):
        """The expressions of what is marked over all panels."""
        return [annotation["expr"] for annotation in self.json["annotations"]["list"] if "expr" in annotation]


def substitute(expression, choices):
    """The expression as Grafana would send it, with these choices for its variables."""
    for name in sorted(choices, key=len, reverse=True):
        choice = choices[name].replace("\\", r"\\")
        expression = re.sub(rf"\$(?:{re.escape(name)}\b|\{{{re.escape(name)}\}})", choice, expression)
    if left := re.search(r"\$\w+|\$\{\w+\}", expression):
        raise ValueError(f"the variable {left[0]} has no value")
    return expression


def name_series(legend, labels):
    """What Grafana calls a series."""
    return re.sub(r"{{\s*(\w+)\s*}}", lambda label: labels.get(label[1], ""), legend)
