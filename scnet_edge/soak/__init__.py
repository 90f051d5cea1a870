"""A run under faults: a real camera process, engine process, sinks and page, hurt on purpose.

faults.py   what can be done to a run, each for some seconds; a camera that misbehaves on command
vitals.py   memory, descriptors, threads, processes: does anything grow?
soak.py     the run, the faults one after another, and whether it came through
"""
