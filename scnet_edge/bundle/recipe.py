"""What to build: one flat TOML file a bundle, under `export/`; unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from scnet_edge.bundle.manifest import Precision
from scnet_edge.config import SIDES_PX, read_toml
from scnet_edge.data.frames import EDGE_THRESHOLD
from scnet_edge.errors import ConfigError

DEFAULT_MODEL = "scnet-small-open"
DEFAULT_SIZE_HW = (384, 544)
# The least F1 of our mask against the reference's, on the golden frames, that a bundle may have.
MIN_MASK_F1: dict[Precision, float] = {"fp32": 0.999, "fp16": 0.99, "int8": 0.95}

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Side = Annotated[int, msgspec.Meta(ge=SIDES_PX[0], le=SIDES_PX[1])]


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One deployable bundle.

    Attributes:
        precision: What the graph computes in: fp32, fp16 (casts) or int8 (Q/DQ).
        model: Name of a shipped model.
        size_hw: Height and width the networks run at, in pixels.
        frame_hw: Height and width of the camera frames; None for frames of `size_hw`.
        threshold: Crack where the probability is at least this, wherever; None for the card's
            decision.
        edge_threshold: Prior where the HED probability is above this.
        calibration: Name of a file in `calibration/`, or a path; None for the model's own.
        exclude: Convolutions that stay in floating point, by node name.
        min_mask_f1: The bundle's tolerance; None for the default of its precision.
        split_graphs: Write HED and SCNet apart as well.
        batch: Frames, or tiles of one, that the graph takes at once.
    """

    precision: Precision
    model: str = DEFAULT_MODEL
    size_hw: tuple[Side, Side] = DEFAULT_SIZE_HW
    frame_hw: tuple[Side, Side] | None = None
    threshold: Share | None = None
    edge_threshold: Share = EDGE_THRESHOLD
    calibration: str | None = None
    exclude: tuple[str, ...] = ()
    min_mask_f1: Share | None = None
    split_graphs: bool = False
    batch: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1


def read_recipe(path: Path) -> Recipe:
    """Return the recipe of a TOML file.

    Raises:
        ConfigError: not TOML, an unknown key, or a value of the wrong type or range.
    """
    return read_toml(path, Recipe)


def make_recipe(**fields: Any) -> Recipe:
    """Return the recipe of these fields, checked as those of a file are.

    Raises:
        ConfigError: an unknown field, or a value of the wrong type or range.
    """
    try:
        return msgspec.convert(fields, Recipe)
    except msgspec.ValidationError as e:
        raise ConfigError(str(e)) from e
