"""The live page, health and metrics of a run over HTTP; read-only, and without an outside asset.

access.py   who may look: hosts, origins, the token
guard.py    the same as a layer around the application, with the headers of every answer
accept.py   few connections, each with little time
app.py      what is answered
board.py    the newest frame, drawn when somebody looks
metrics.py  counters and gauges for Prometheus
server.py   all of it in a thread
"""
