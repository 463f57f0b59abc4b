"""Compares the metrics that rules, the dashboard and the pages name with those that a worker exports.

Prometheus accepts a name or a label that nobody exports: the alert would never fire, the panel would be empty.
"""

import re
from pathlib import Path

from .dashboard import Dashboard

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "config/prometheus/rules"
DOCUMENTED = ROOT / "docs/metrics.md"

# A metric of ours, with what stands in braces behind it. Not the middle of a recorded name.
METRIC = re.compile(r"(?<![\w:/.-])(revoker_[a-z_]+|process_[a-z_]+)(?![\w:*])(?:\{([^}]*)\})?")
RECORDED = re.compile(r"(?<![\w:])(job\w*:revoker_[\w:]+)")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$", re.M)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

# Labels that a scrape gives, not the worker.
OF_THE_SCRAPE = {"job", "namespace", "instance"}


def exported(exposition):
    """The labels and their values by metric, of a page in Prometheus' text format."""
    metrics = {}
    for name, labels in SAMPLE.findall(exposition):
        values = metrics.setdefault(name, {})
        for label, value in LABEL.findall(labels):
            values.setdefault(label, set()).add(value)
    return metrics


def texts():
    """Yields every text that names metrics, with its place."""
    for rules in sorted(RULES.glob("*.yml")):
        yield rules.name, re.sub(r"#.*", "", rules.read_text())
    for path in sorted((ROOT / "config/grafana/dashboards").glob("*.json")):
        dashboard = Dashboard(path)
        for panel in dashboard.panels:
            yield from ((f"panel {panel.title!r}", target.expression) for target in panel.targets)
        yield from ((path.name, expression) for expression in dashboard.annotations)
    pages = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    # The changelog may name a metric that is gone.
    for page in (page for page in pages if page.name != "CHANGELOG.md"):
        # Within a table a bar is escaped. A key of JSON is no metric.
        yield page.name, re.sub(r'"\w+":', "", page.read_text().replace(r"\|", "|"))


def faults_of_matcher(metric, label, operator, wanted, values):
    """Yields the values of a matcher that no series has. Each alternative must exist."""
    if label in OF_THE_SCRAPE:
        return
    if label not in values:
        yield f"{metric} has no label {label}"
        return
    simple = operator in ("=", "!=") or "(" in wanted or "[" in wanted
    for alternative in [wanted] if simple else wanted.split("|"):
        found = alternative in values[label] or (
            operator.endswith("~") and any(re.fullmatch(alternative, value) for value in values[label])
        )
        if not found:
            yield f'{metric} has no {label} "{alternative}"'


def faults_of_documentation(families):
    """Yields metrics that a worker exports and the table of metrics does not list."""
    rows = re.findall(r"^\| (`revoker_.*?) \|", DOCUMENTED.read_text(), re.M)
    listed = {name for row in rows for name in re.findall(r"`(revoker_\w+)`", row)}
    for name in sorted(families):
        if name.startswith("revoker_") and name not in listed:
            yield f"{DOCUMENTED.name}: its table does not list {name}"


def faults(exposition):
    """Yields every name, label and value that nobody exports or records, and every undocumented metric."""
    metrics = exported(exposition)
    recorded = {name for rules in RULES.glob("*.yml") for name in re.findall(r"- record: (\S+)", rules.read_text())}
    # A histogram is named by its parts in expressions, by its own name in prose.
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics}
    yield from faults_of_documentation(families)
    seen = 0
    for where, text in texts():
        for name, braces in METRIC.findall(text):
            seen += 1
            if name not in metrics and name not in families:
                yield f"{where}: no worker exports {name}"
                continue
            for label, operator, wanted in MATCHER.findall(braces):
                for fault in faults_of_matcher(name, label, operator, wanted, metrics.get(name, {})):
                    yield f"{where}: {fault}"
        yield from (f"{where}: nothing records {name}" for name in RECORDED.findall(text) if name not in recorded)
    if not seen:
        yield "no metric is named anywhere: this check needs to be told where they are"
