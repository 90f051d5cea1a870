"""Frames in, crack masks out, with NumPy, OpenCV and one engine."""
