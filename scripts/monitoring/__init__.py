"""A worker under load and a Prometheus that scrapes it, for the checks of the dashboard and the status page."""
