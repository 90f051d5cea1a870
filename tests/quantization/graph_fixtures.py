"""Make the helpers of this folder importable."""

from small_chains import frame

__all__ = ["frame"]
