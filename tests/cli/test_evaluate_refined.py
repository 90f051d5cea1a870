"""`scnet-edge evaluate --refine`: which threshold cuts what, with random weights on a wall."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch
from hand_made import picture
from sklearn.metrics import f1_score

import scnet_edge.cli.evaluate  # noqa: F401  (registers the command)
from scnet_edge.cli import main
from scnet_edge.config import read_json
from scnet_edge.data.frames import scnet_input
from scnet_edge.evaluation.scores import Evaluation
from scnet_edge.models import baselines as compared
from scnet_edge.models.baselines import DeepCrackLiu, guided_refinement
from scnet_edge.models.cards import find_card, write_card
from scnet_edge.models.weights import load_into, load_state, measure_card, save_weights


def test_the_mask_is_cut_at_the_threshold_of_the_run_and_its_refinement_at_one_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, truth = picture(size_hw=(64, 96))
    for kind, image in (("images", frame), ("masks", truth.astype(np.uint8) * 255)):
        (tmp_path / "wall" / "test" / kind).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "wall" / "test" / kind / "0.png"), image)

    torch.manual_seed(3)
    monkeypatch.setattr(compared, "VGG", tuple((4,) * len(block) for block in compared.VGG))
    run, model = tmp_path / "liu", DeepCrackLiu().eval()
    weights = run / "liu.safetensors"
    run.mkdir()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):  # the default weights let the signal die out
            torch.nn.init.kaiming_normal_(layer.weight)
    save_weights(model, weights)
    load_into(model, load_state(weights), "the run")  # rounded to FP16
    with torch.inference_mode():
        fused, sides = model(torch.from_numpy(scnet_input(frame))[None])
    threshold = round(torch.sigmoid(fused).quantile(0.8).item(), 2)
    card = msgspec.structs.replace(
        find_card("hed"),
        name="liu",
        kind="deepcrack-liu",
        hed_width=None,
        file=weights.name,
        threshold=threshold,
    )
    write_card(run / "liu.json", measure_card(card, weights))

    out, options = tmp_path / "scores.json", ("--data", f"folder:{tmp_path / 'wall'}", "--refine")
    arguments = ["scnet-edge", "evaluate", str(run), *options, "--json", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code

    def f1(mask_from: float, crack_from: float) -> float:
        refined = guided_refinement(fused, sides[0], threshold=mask_from)
        return float(f1_score(truth.ravel(), refined.numpy().ravel() >= crack_from))

    shipped = read_json(out, Evaluation).shipped
    assert shipped.threshold == 0.5
    assert shipped.f1 == pytest.approx(f1(threshold, 0.5))
    for other in (f1(threshold, threshold), f1(0.31, 0.5)):  # so the test can tell
        assert abs(other - shipped.f1) > 0.01
