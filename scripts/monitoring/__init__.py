"""A worker under load and a Prometheus that watches it, for the scripts that check and draw what people look at."""
