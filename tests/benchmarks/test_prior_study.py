"""The study of the prior on drawn walls: fair starts, whole figures, killed and resumed."""

from __future__ import annotations

import dataclasses
import runpy
import shlex
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks import prior_study as prior
from benchmarks.light_hed import new_light_hed
from benchmarks.prior_report import PriorStudy, agreement, difference
from benchmarks.prior_study import Plan, Scored, claim, counts_of, first_net, preset_of, splits_of
from scnet_edge.config import read_json
from scnet_edge.errors import ConfigError, ModelError
from scnet_edge.evaluation.metrics import Counts
from scnet_edge.models.weights import count_macs, count_parameters
from scnet_edge.training import presets
from scnet_edge.training.images import TrainingImage

PLAN = Plan(data="deepcrack:DIR")
SCRIPT = Path(__file__).parents[2] / "benchmarks/prior.py"


def test_the_three_start_from_the_same_weights() -> None:
    """A net without the prior says what one with it says of a wall without edges."""
    full, light, none = (first_net(PLAN, which, 1).eval() for which in prior.PRIORS)
    rgb = torch.rand(1, 3, 32, 48) * 2 - 1
    blank = torch.cat([rgb, torch.zeros(1, 1, 32, 48)], 1)
    with torch.no_grad():
        torch.testing.assert_close(none(rgb)[0], full(blank)[0])
        torch.testing.assert_close(light(blank)[0], full(blank)[0], rtol=0, atol=0)
        edges = torch.cat([rgb, torch.ones(1, 1, 32, 48)], 1)
        assert not torch.allclose(full(edges)[0], full(blank)[0])
    other = first_net(PLAN, "none", 2).encoder[0][0].weight
    assert not torch.equal(none.encoder[0][0].weight, other)


def test_only_the_prior_differs() -> None:
    full, light, none = (preset_of(PLAN, which, 1) for which in prior.PRIORS)
    assert full == light
    assert none.config
    assert dataclasses.replace(none.config, edges=True) == full.config
    assert dataclasses.replace(none, config=full.config) == full
    assert full.schedule.pipe_share == 0


def scored(which: prior.Prior, seed: int, found: int) -> Scored:
    """Return a run on two images of four crack pixels each, `found` of them found, none false."""
    right = np.full(101, found)
    one = Counts(predicted=right, right=right, found=right, truth=4)
    return Scored(prior=which, seed=seed, threshold=0.5, counts=[one, one])


def test_differences_pair_the_seeds() -> None:
    runs = [scored("none", 0, 1), scored("full", 0, 4), scored("none", 1, 2), scored("full", 1, 2)]
    # F1 is 2 f / (f + 4): 0.4 and 1, then 2/3 twice
    above = difference(runs, "full", "none")
    assert above.by_seed == [0.6, 0.0]
    assert above.ods == 0.3
    assert above.ci95 == (0.3, 0.3)  # both images are alike


def test_agreement_by_hand(tmp_path: Path) -> None:
    walls(tmp_path, images=5)
    held = splits_of(f"folder:{tmp_path}")["held"]
    full, light = (np.zeros((192, 224), np.uint8) for _ in range(2))
    for edges, width in ((full, 10), (light, 5)):
        edges[:, :width] = 128  # just above one half
        edges[:, 100:] = 127
    found = agreement(held, lambda frame: full, lambda frame: light)
    assert (found.full_share, found.light_share) == (round(10 / 224, 4), round(5 / 224, 4))
    assert found.same == round(1 - 5 / 224, 4)
    assert found.f1 == round(2 * 5 / 15, 4)


def test_sizes_that_do_not_fit_are_refused() -> None:
    image = TrainingImage(np.zeros((40, 48, 3), np.uint8), np.zeros((40, 48), bool), None)
    with pytest.raises(ModelError, match="size 40x48"):
        counts_of(first_net(PLAN, "none", 0).eval(), [image])


def test_a_folder_is_of_one_study(tmp_path: Path) -> None:
    claim(tmp_path, PLAN)
    claim(tmp_path, PLAN)
    with pytest.raises(ConfigError, match=r"holds the study of .*steps=400"):
        claim(tmp_path, Plan(data="deepcrack:DIR", steps=3))


def walls(folder: Path, images: int) -> None:
    """Write drawn walls of 192x224 and their masks."""
    for i in range(images):
        mask = np.zeros((192, 224), np.uint8)
        cv2.line(mask, (0, 10 + 20 * i), (223, 180 - 20 * i), 255, 5)
        for kind, image in (("images", np.where(mask > 0, 30, 190)), ("masks", mask)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / kind / f"{i}.png"), image.astype(np.uint8))


def test_study_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = presets.PRESETS["tiny"]
    assert tiny.config
    toy = dataclasses.replace(
        tiny,
        config=dataclasses.replace(tiny.config, width=1 / 16, levels=2),
    )
    monkeypatch.setitem(presets.PRESETS, "tiny", toy)
    monkeypatch.setattr(prior, "open_hed", lambda: new_light_hed(1 / 16, seed=9).eval())
    walls(tmp_path / "walls", images=5)
    trained: list[Path] = []
    train = prior.train

    def counted(*arguments: object, **options: object) -> object:
        trained.append(arguments[3])
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train(*arguments, **options)

    monkeypatch.setattr(prior, "train", counted)

    def study(name: str) -> PriorStudy:
        options = shlex.split(
            "--steps 4 --batch 2 --crop 32 --seeds 5 --distil-steps 2 --light-width 0.0625"
        )
        out, figures = tmp_path / name, tmp_path / f"{name}.json"
        arguments = ["--data", f"folder:{tmp_path / 'walls'}", "--out", out, "--json", figures]
        monkeypatch.setattr(sys, "argv", ["prior.py", *map(str, arguments), *options])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return read_json(figures, PriorStudy)

    with pytest.raises(KeyboardInterrupt):
        study("cut")
    resumed = study("cut")
    assert len(trained) == 3 + 1  # two were done, the third was cut
    assert [(r.prior, r.seed) for r in resumed.runs] == [("full", 5), ("light", 5), ("none", 5)]
    assert study("whole") == resumed
    assert str(tmp_path) not in (tmp_path / "whole.json").read_text()
    assert resumed.plan.data == "folder-walls"
    assert "--steps 4 --batch 2 --crop 32 --seeds 5 --light-width 0.0625" in resumed.command
    costs = {cost.name: cost for cost in resumed.costs}
    light = new_light_hed(1 / 16, seed=0)
    assert costs["light HED"].parameters == count_parameters(light)
    assert costs["light HED"].gmac == round(count_macs(light, (384, 544)) / 1e9, 3)
    assert costs["full HED"].parameters == 14_716_171
    for run in resumed.runs:
        assert run.f1 <= run.ods
