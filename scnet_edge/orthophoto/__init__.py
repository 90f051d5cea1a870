"""Orthophotos and pictures too large to hold: windows in, a GeoTIFF mask and lines out."""
