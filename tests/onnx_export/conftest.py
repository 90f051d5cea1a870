"""One small frame."""

from __future__ import annotations

from small_chains import frame

__all__ = ["frame"]
