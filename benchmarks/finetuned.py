"""Fine-tuned weights as a training run, with ranges of their own, as `build` takes them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

import msgspec

from scnet_edge.errors import ConfigError
from scnet_edge.models.cards import Card, find_card, run_card, weights_of, write_card
from scnet_edge.models.scnet import SCNet
from scnet_edge.models.weights import measure_card, save_weights
from scnet_edge.quantization.ranges import CalibrationFile, key_of, write_ranges


def refuse_repaired(calibration: CalibrationFile) -> None:
    """Raise ConfigError for ranges that go with equalised layers or corrected biases.

    The training knows neither, so its net would not be the one that the ranges are of.
    """
    if calibration.equalised or calibration.bias_shifts:
        raise ConfigError(
            f"ranges of {calibration.model}: expected plain ones, found {calibration.method}; "
            "calibrate again with a --method that needs no repair"
        )


def write_run(
    out: Path,
    tuned: SCNet,
    card: Card,
    calibration: CalibrationFile,
    ranges: Mapping[str, float],
    steps: int,
) -> tuple[Card, Path]:
    """Write the run folder `out` and its ranges in `out`.toml; return its card and where these are.

    Args:
        out: A folder; what an earlier fine-tuning left there is replaced.
        tuned: The net, batch norms folded into its convolutions.
        card: Of the model that it began as.
        calibration: The ranges that it began with.
        ranges: Those that it was trained with.
        steps: How long.
    """
    assert card.config is not None
    norm = "none" if card.config.norm == "batch" else card.config.norm
    name = out.resolve().name
    out.mkdir(parents=True, exist_ok=True)
    weights = out / f"{name}.safetensors"
    save_weights(tuned, weights)
    blank = msgspec.structs.replace(
        card,
        name=name,
        file=weights.name,
        config=msgspec.structs.replace(card.config, norm=norm),
        recipe=f"{card.name}, {steps} steps under fake quantisation",
        steps=steps,
        metrics=None,
        created=datetime.date.today().isoformat(),
    )
    write_card(run_card(out), measure_card(blank, weights))
    written = find_card(str(out))
    fresh = msgspec.structs.replace(
        calibration,
        model=name,
        weights_sha256=weights_of(written),
        comparison=(),  # of the weights before
        validation="nothing: fine-tuned after the methods were compared",
        ranges=dict(ranges),
    )
    places = out.with_name(f"{name}.toml")
    write_ranges(places, msgspec.structs.replace(fresh, key=key_of(fresh)))
    return written, places
