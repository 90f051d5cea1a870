"""What the shipped models ask of a device; counted on their layers ahead of time, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scnet_edge.bench.schema import BenchmarkResult, BenchmarkRow
from scnet_edge.config import SIDES_PX, read_json
from scnet_edge.errors import ConfigError
from scnet_edge.models.cards import shipped_models
from scnet_edge.models.sizes import SizeHW, check_size

COUNTED = Path(__file__).with_name("workloads.json")  # by count_workloads
TEST_IMAGES = 237  # of DeepCrack: F1 of fewer does not compare with the cards'


class Convolutions(msgspec.Struct, frozen=True, array_like=True):
    """All convolutions of a model that are equally wide.

    Attributes:
        channels: In or out, whichever is fewer.
        gflop: 1e9 operations a frame, two a multiply-accumulate.
        mega_read, mega_written: 1e6 numbers a frame.
        mega_normed: Those of the written that an instance norm then takes.
    """

    channels: int
    gflop: float
    mega_read: float
    mega_written: float
    mega_normed: float = 0.0

    def scaled(self, by: float) -> Convolutions:
        """Return what they are at `by` times the pixels."""
        channels, *counts = msgspec.structs.astuple(self)
        return Convolutions(channels, *(by * count for count in counts))


class Counted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One shipped model with all its networks.

    Attributes:
        f1_int8: As `build --int8` makes it, on the DeepCrack test split at the shipped threshold.
        mega_moved: 1e6 numbers that layers between the convolutions read and write: attention,
            pooling, unpooling, resizes, sums, concatenations.
    """

    stride: int
    f1_int8: float
    mega_moved: float
    convolutions: tuple[Convolutions, ...]


class Counts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file: every model at one size."""

    size_hw: SizeHW
    models: dict[str, Counted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a model asks of a device, at the size it would run at.

    Attributes:
        f1: On the DeepCrack test split, by precision; what was not measured is missing.
    """

    model: str
    convolutions: Sequence[Convolutions]
    mega_moved: float
    f1: Mapping[str, float]

    @property
    def gflop(self) -> float:
        """1e9 operations a frame."""
        return sum(c.gflop for c in self.convolutions)


def workloads(size_hw: SizeHW, results: Sequence[BenchmarkResult]) -> list[Workload]:
    """Return every shipped crack model, with what results of all images or its card say of F1.

    Raises:
        ScnetEdgeError: `build` takes no such size.
    """
    low, high = SIDES_PX
    if not low <= min(size_hw) <= max(size_hw) <= high:
        height, width = size_hw
        raise ConfigError(f"size {height}x{width}: expected sides of {low} to {high} pixels")
    counts = read_json(COUNTED, Counts)
    check_size(size_hw, max(model.stride for model in counts.models.values()))
    scale = size_hw[0] * size_hw[1] / (counts.size_hw[0] * counts.size_hw[1])
    found = []
    for card in shipped_models():
        if card.name in counts.models and card.metrics:
            counted = counts.models[card.name]
            f1 = {"fp32": card.metrics.f1, "int8": counted.f1_int8}
            found.append(
                Workload(
                    model=card.name,
                    convolutions=[c.scaled(scale) for c in counted.convolutions],
                    mega_moved=scale * counted.mega_moved,
                    f1=f1 | _find_f1(card.name, size_hw, results),
                )
            )
    return found


def of_test_split(row: BenchmarkRow) -> bool:
    """Return whether a row's F1 is of all of DeepCrack's test images, as those of the cards are."""
    return row.data == "deepcrack test" and row.images >= TEST_IMAGES


def _find_f1(model: str, size_hw: SizeHW, results: Sequence[BenchmarkResult]) -> dict[str, float]:
    return {
        row.precision: row.f1
        for result in results
        for row in result.rows
        if (row.model, row.size_hw) == (model, size_hw)
        and row.f1 is not None
        and of_test_split(row)
    }
