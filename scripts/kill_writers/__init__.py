"""Kill every command that writes; see `__main__.py`."""
