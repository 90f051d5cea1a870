"""A page over HTTP: who may see it, how many, and a server in a thread; what it shows is another's.

access.py   who may look: hosts, origins, the token
guard.py    the same as a layer around an application, with the headers of every answer
accept.py   few connections, each with little time
server.py   an application behind both, in a thread; the head and style of every page
"""
