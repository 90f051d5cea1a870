"""What a human code says of a crack: whether it is one, and which way it runs."""

from __future__ import annotations

import re
from typing import Literal

from scnet_edge.inspection.records import Kind

_EN13508: dict[str, Kind] = {
    "A": "longitudinal",
    "B": "circumferential",
    "C": "multiple",
    "D": "spiral",
}
_PACP: dict[str, Kind] = {
    "L": "longitudinal",
    "C": "circumferential",
    "M": "multiple",
    "H": "multiple",
    "S": "spiral",
}
_CRACK = re.compile(r"[CF]([LCMHS])\d?J?")  # of PACP and MSCC: a crack or a fracture, at a joint
# What is no damage: the start, the end, the water level, photographs, a change of the pipe.
_REMARK = re.compile(
    r"B(C[D-E]|D[A-G]).*|A[A-Z]{2}.*|ST|FH|MWL.*|MGO|MGP|AMH|AEP|SA|MSA|MLC|MSC|WL"
)


def kind_of(code: str) -> Kind | Literal["unknown"] | None:
    """Return which way a coded crack runs; `unknown` where the code does not say, None for others.

    Args:
        code: with its characters apart, as the readers give it: `BAB B A`, `CL`.
    """
    parts = code.split()
    if parts[:1] == ["BAB"]:
        return _EN13508.get(parts[2], "unknown") if len(parts) > 2 else "unknown"
    match = _CRACK.fullmatch(code)
    return _PACP[match[1]] if match else None


def is_damage(code: str) -> bool:
    """Return whether a code is of something that may be taken for a crack, and is none."""
    return bool(code) and kind_of(code) is None and not _REMARK.fullmatch(code)
