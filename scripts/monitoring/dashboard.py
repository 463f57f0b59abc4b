"""A Grafana dashboard in JSON: its panels and their Prometheus expressions."""

import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """One expression of a panel, and the legend of its series."""

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
    def unit(self):
        """Grafana's name of its unit, if it has one."""
        return self.json.get("fieldConfig", {}).get("defaults", {}).get("unit", "")


class Dashboard:
    """All panels in order, the variables and the annotations."""

    def __init__(self, path):
        self.json = json.loads(Path(path).read_text(encoding="utf-8"))
        self.panels = [Panel(panel) for panel in self.json["panels"]]

    @property
    def variables(self):
        """The settings of each variable, by name."""
        return {variable["name"]: variable for variable in self.json["templating"]["list"]}

    @property
    def annotations(self):
        """The expressions of the annotations over all panels."""
        return [annotation["expr"] for annotation in self.json["annotations"]["list"] if "expr" in annotation]


def substitute(expression, choices):
    """The expression as Grafana would send it, with these values for its variables."""
    for name in sorted(choices, key=len, reverse=True):
        choice = choices[name].replace("\\", r"\\")
        expression = re.sub(rf"\$(?:{re.escape(name)}\b|\{{{re.escape(name)}\}})", choice, expression)
    if left := re.search(r"\$\w+|\$\{\w+\}", expression):
        raise ValueError(f"the variable {left[0]} has no value")
    return expression
