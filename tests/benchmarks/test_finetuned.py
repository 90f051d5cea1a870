"""What fine-tuning writes is what `build` takes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.finetuned import refuse_repaired, write_run
from scnet_edge.build import build_bundle
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.reference import open_chain
from scnet_edge.errors import ConfigError
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.models.scnet import SCNet
from scnet_edge.onnx_export.rewrite import fold_batch_norms
from scnet_edge.quantization.ranges import find_ranges

SIZE = (96, 128)


@pytest.mark.parametrize("name", ["scnet-tiny", "scnet-tiny-instance"])
def test_a_run_and_its_ranges_build(name: str, tmp_path: Path) -> None:
    card = find_card(name)
    calibration = find_ranges(name, weights_of(card))
    net = open_chain(card, Recipe(precision="int8", model=name, size_hw=SIZE)).scnet
    assert isinstance(net, SCNet)
    fold_batch_norms(net)
    ranges = {layer: 0.9 * peak for layer, peak in calibration.ranges.items()}
    run, places = write_run(tmp_path / "mine", net, card, calibration, ranges, steps=7)
    assert (run.name, run.steps) == ("mine", 7)
    recipe = Recipe(
        precision="int8", model=str(tmp_path / "mine"), size_hw=SIZE, calibration=str(places)
    )
    manifest = build_bundle(recipe, tmp_path / "b")
    assert manifest.quantised_convolutions == len(ranges)
    assert manifest.model.sha256 == {"mine": run.sha256}
    assert manifest.parity.mask_f1 > 0.95
    with pytest.raises(ConfigError, match="other weights"):
        find_ranges(str(places), weights_of(card))


@pytest.mark.parametrize("repair", [{"equalised": True}, {"bias_shifts": {"scnet.a": [0.1]}}])
def test_repaired_ranges_are_refused(repair: dict[str, object]) -> None:
    plain = find_ranges("scnet-tiny", weights_of(find_card("scnet-tiny")))
    refuse_repaired(plain)
    with pytest.raises(ConfigError, match=r"scnet-tiny: expected plain ones, found .* repair"):
        refuse_repaired(msgspec.structs.replace(plain, **repair))
