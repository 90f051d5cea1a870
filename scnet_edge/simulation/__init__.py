"""Footage of a pipe wall whose cracks are known to the pixel."""
