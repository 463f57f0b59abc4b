"""A worker under load and a Prometheus that watches it, for the scripts that check and draw the dashboard."""
