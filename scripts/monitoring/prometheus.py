"""What Prometheus is asked, over its HTTP interface."""

import json
import math
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 300  # seconds of one request: for what hangs, not for what is slow


class QueryError(Exception):
    """Prometheus refused the expression, with its own words."""


class Prometheus:
    """A Prometheus on loopback."""

    def __init__(self, url):
        self.url = url
        # A proxy of the environment's would be asked for loopback.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def _get(self, path, **parameters):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with self._open(url, timeout=TIMEOUT) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise QueryError(json.load(error)["error"]) from None

    def ready(self):
        """Whether it answers queries."""
        try:
            with self._open(f"{self.url}/-/ready", timeout=TIMEOUT):
                return True
        except OSError:
            return False

    def query(self, expression):
        """The series of an expression now: their labels and values."""
        result = self._get("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def query_range(self, expression, start, end, step):
        """The series of an expression over a time: their labels and points (seconds, value), without those that are
        no number."""
        result = self._get("query_range", query=expression, start=start, end=end, step=step)["result"]
        points = ([(at, float(value)) for at, value in series["values"]] for series in result)
        return [
            (series["metric"], [(at, value) for at, value in those if math.isfinite(value)])
            for series, those in zip(result, points, strict=True)
        ]

    def label_values(self, label, selector):
        """The values that a label has in the selected series."""
        return self._get(f"label/{urllib.parse.quote(label)}/values", **{"match[]": selector})

    def rules(self):
        """Every rule: its name, health and last error."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]
