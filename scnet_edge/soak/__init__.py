"""A run under faults: a real camera process, engine process, sinks and page, hurt on purpose.

camera.py   an MJPEG camera on loopback that misbehaves on command
faults.py   what can be done to a run, each for some seconds
vitals.py   memory, descriptors, threads, processes: does anything grow?
soak.py     the run, and the faults one after another
verdict.py  whether it came through
"""
