"""Frames from files and cameras, checked before a model sees them."""
