"""A run on a robot, put together from its parts: cameras, engines, schedule, sinks, live page."""
