"""Where an engine's time goes, as a result has it."""

from __future__ import annotations

import msgspec


class LayerTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One layer as the engine ran it."""

    name: str
    kind: str
    ms: float
    gflop: float | None  # of a convolution, two a multiply-accumulate


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the engine's time goes, by its own counters."""

    total_ms: float
    by_kind_ms: dict[str, float]
    worst: tuple[LayerTime, ...]  # the ten that take longest
