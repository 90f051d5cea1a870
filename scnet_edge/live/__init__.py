"""The live page, health and metrics of a run over HTTP; read-only, and without an outside asset.

app.py      what is answered
board.py    the newest frame, drawn when somebody looks
metrics.py  counters and gauges for Prometheus
server.py   both behind `web`, with the charts filled every second
"""
