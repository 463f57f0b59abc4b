"""A client of the HTTP interface of Prometheus."""

import json
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 300  # seconds of one request: for what hangs, not for what is slow


class QueryError(Exception):
    """Prometheus refused the expression, and says why."""


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

    def label_values(self, label, selector):
        """The values that a label has in the selected series."""
        return self._get(f"label/{urllib.parse.quote(label)}/values", **{"match[]": selector})

    def rules(self):
        """Every rule: its name, health and last error."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]
