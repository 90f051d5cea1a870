"""The live page, health and metrics of a run over HTTP; read-only, and without an outside asset.

app.py         what is answered, the newest frame, and the server around both
prometheus.py  counters and gauges for a scraper
"""
