"""Which machine a row is of, in a few words; no two machines under one name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from scnet_edge.bench.schema import Environment, Result, Row

Key = tuple[int, bool]  # which result, and whether its graphics card computed
NOISE = re.compile(r"\(R\)|\(TM\)|\d+-Core|Processor|CPU|@.*")


def on_card(result: Result, row: Row) -> bool:
    """Return whether the machine's graphics card computed a row."""
    return result.environment.gpu is not None and "CPU" not in row.device


def machine_names(results: Sequence[Result]) -> dict[Key, str]:
    """Return the shortest names that tell apart what computed: card or processor, then the date."""
    keys = [(at, on_card(result, row)) for at, result in enumerate(results) for row in result.rows]
    keys += [(at, result.environment.gpu is not None) for at, result in enumerate(results)]
    keys += [(at, False) for at, result in enumerate(results) if result.limits]  # the processor's
    for spelling in (_short, _full, _dated):
        names = {key: spelling(results[key[0]].environment, card=key[1]) for key in keys}
        if len(set(names.values())) == len(names):
            return names
    return {key: f"{name}, file {key[0] + 1}" for key, name in names.items()}


def _short(e: Environment, *, card: bool) -> str:
    if card and e.gpu:
        return re.sub(r"^NVIDIA |\s*\(.*|\s\d+ ?GB.*", "", e.gpu.split(";")[0]).strip()
    return _full(e, card=False)


def _full(e: Environment, *, card: bool) -> str:
    if card and e.gpu:
        return re.sub(r"\s*\(.*", "", e.gpu.split(";")[0])
    return f"{e.cores}-core {' '.join(NOISE.sub('', e.cpu).split())}"


def _dated(e: Environment, *, card: bool) -> str:
    return f"{_full(e, card=card)}, {e.started[:10]}"
