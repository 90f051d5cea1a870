"""The study of the prior on drawn walls: whole figures by hand, killed and resumed."""

from __future__ import annotations

import dataclasses
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks import prior_report, prior_study
from benchmarks.prior_report import PriorStudy, difference
from benchmarks.prior_study import Plan, Scored, Scores, claim, score, spread
from scnet_edge.config import read_json
from scnet_edge.data.blend import MadeSample
from scnet_edge.errors import ConfigError
from scnet_edge.models.decision import Decision
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNetConfig
from scnet_edge.models.weights import count_macs, count_parameters
from scnet_edge.training.start import new_hed

SCRIPT = Path(__file__).parents[2] / "benchmarks/prior.py"
CORPUS = """
licence = "none"
blended = 0.2
[[set]]
name = "cracked"
data = "folder:{cracked}"
share = 0.6
licence = "none"
lends = true
[[set]]
name = "sound"
data = "negative:{sound}"
share = 0.2
licence = "none"
takes = true
"""


def domain(right: int, alarmed: list[int]) -> Scores:
    """Return two images of four crack pixels, `right` of them called and none else, and frames."""
    called = np.full((2, 101), right)
    ones = np.ones(2, np.int64)
    return Scores(
        predicted=called,
        right=called,
        truth=4 * ones,
        cracks=ones,
        found=ones * (right > 2),
        alarmed=np.array(alarmed, np.int64),
    )


def scored(arm: prior_study.Arm, seed: int, right: int, alarmed: list[int]) -> Scored:
    """Return a run on walls as said, on roads where all are alike, and in sound pipes."""
    none = np.zeros((0, 101), np.int64)
    sound = Scores(
        predicted=none,
        right=none,
        truth=none[:, 0],
        cracks=none[:, 0],
        found=none[:, 0],
        alarmed=np.array(alarmed, np.int64),
    )
    return Scored(
        arm=arm,
        seed=seed,
        decision=Decision(threshold=0.5),
        domains={"walls": domain(right, []), "roads": domain(2, []), "pipes": sound},
    )


def test_differences_pair_the_seeds_and_count_each_domain_once() -> None:
    runs = [
        scored("none", 0, 1, [1, 1]),
        scored("light", 0, 4, [0, 0]),
        scored("none", 1, 2, [1, 1]),
        scored("light", 1, 2, [1, 1]),
    ]
    # On walls F1 is 2 f / (f + 4): 0.4 and 1, then 2/3 twice; on roads all are alike.
    above = difference(runs, "light", "none")
    assert above.best_f1.by_seed == [0.3, 0.0]
    assert above.best_f1.above == 0.15
    assert above.best_f1.ci95 == (0.15, 0.15)  # the images of a domain are alike
    assert above.found.by_seed == [0.5, 0.0]
    assert above.alarmed.by_seed == [-1.0, 0.0]
    assert {d: f.above for d, f in above.by_domain.items()} == {"walls": 0.3, "roads": 0.0}


def test_interval_is_of_images() -> None:
    ours, theirs = scored("light", 0, 2, [0, 1]), scored("none", 0, 2, [1, 1])
    above = difference([theirs, ours], "light", "none").alarmed
    assert above.above == -0.5
    assert above.ci95 == (-1.0, 0.0)  # twice the one frame, or twice the other


def test_a_mask_is_scored_by_pixels_cracks_and_alarms() -> None:
    frame, truth = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.bool_)
    truth[20:23] = True
    cracked = MadeSample(Path("a"), Path("a"), "crack", frame, truth)
    sound = MadeSample(Path("b"), Path("b"), "negative", frame, np.zeros_like(truth))
    probability = np.where(truth, 0.9, 0.2).astype(np.float32)
    of = score([(cracked, probability), (sound, probability)], Decision(threshold=0.5))
    assert of.right[0, 50] == of.predicted[0, 50] == of.truth[0] == truth.sum()
    assert of.predicted[0, 10] == truth.size
    assert (list(of.cracks), list(of.found), list(of.alarmed)) == ([1], [1], [1])


def test_images_are_spread_evenly() -> None:
    numbers = [MadeSample(Path(f"{i}"), Path(), "crack", None, None) for i in range(9)]  # type: ignore[arg-type]
    assert [sample.name for sample in spread(numbers, 5)] == ["0", "2", "4", "6", "8"]
    assert spread(numbers[:2], 5) == numbers[:2]


def test_a_folder_is_of_one_study(tmp_path: Path) -> None:
    claim(tmp_path, Plan(corpus="open"))
    claim(tmp_path, Plan(corpus="open"))
    with pytest.raises(ConfigError, match=r"holds the study of .*steps=400"):
        claim(tmp_path, Plan(corpus="open", steps=3))


def walls(folder: Path) -> Path:
    """Write a corpus of drawn walls, cracked and sound, and return its file."""
    for i in range(15):
        mask = np.zeros((64, 96), np.uint8)
        cv2.line(mask, (0, 4 + 4 * i), (95, 60 - 3 * i), 255, 4)
        images = {
            "cracked/images": np.where(mask > 0, 30, 190),
            "cracked/masks": mask,
            "sound": np.full_like(mask, 150 + i),
        }
        for kind, image in images.items():
            (folder / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / kind / f"{i}.png"), image.astype(np.uint8))
    path = folder / "corpus.toml"
    path.write_text(CORPUS.format(cracked=folder / "cracked", sound=folder / "sound"))
    return path


def test_study_killed_and_resumed_equals_uninterrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = SCNetConfig(
        width=1 / 16, levels=2, norm="instance", edges=False, stem="half", decoder="skip"
    )
    configs = {"light": dataclasses.replace(toy, edges=True), "none": toy, "small": toy}
    monkeypatch.setattr(prior_study, "CONFIGS", configs)
    monkeypatch.setattr(prior_report, "CONFIGS", configs)
    monkeypatch.setattr(prior_report, "ROUNDS", 1)
    monkeypatch.setattr(prior_report, "SIZE_HW", (64, 96))
    torch.manual_seed(9)
    hed = new_hed(1 / 16).eval()
    monkeypatch.setattr("scnet_edge.models.weights.open_hed", lambda name: hed)
    corpus = walls(tmp_path)
    trained: list[Path] = []
    train = prior_study.train

    def counted(*arguments: object, **options: object) -> object:
        trained.append(arguments[3])
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(*arguments, **options)

    monkeypatch.setattr(prior_study, "train", counted)

    def study(name: str) -> PriorStudy:
        figures = tmp_path / f"{name}.json"
        arguments = ["--corpus", corpus, "--field", corpus, "--out", tmp_path / name]
        short = [
            "--steps",
            "2",
            "--batch",
            "2",
            "--crop",
            "32",
            "--seeds",
            "5",
            "--most",
            "2",
            "--arms",
            "light",
            "none",
        ]
        monkeypatch.setattr(
            sys, "argv", ["prior.py", *map(str, arguments), "--json", str(figures), *short]
        )
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return read_json(figures, PriorStudy)

    with pytest.raises(KeyboardInterrupt):
        study("cut")
    resumed = study("cut")
    assert len(trained) == 2 + 1  # one was done, the other was cut
    assert [(r.arm, r.seed) for r in resumed.runs] == [("light", 5), ("none", 5)]
    whole = study("whole")
    assert (whole.runs, whole.differences) == (resumed.runs, resumed.differences)
    assert str(tmp_path) not in (tmp_path / "whole.json").read_text()
    assert "--steps 2 --batch 2 --crop 32 --most 2 --seeds 5" in resumed.command
    costs = {cost.arm: cost for cost in resumed.costs}
    assert costs["light"].parameters - costs["none"].parameters == pytest.approx(
        count_parameters(hed), abs=400
    )
    assert costs["light"].gmac - costs["none"].gmac == pytest.approx(
        count_macs(HED(width=1 / 16), (64, 96)) / 1e9, abs=0.003
    )
    assert set(resumed.runs[0].by_domain) == {"cracked", "cracks-pasted-into-sound"}
    assert set(resumed.runs[0].alarmed_by_domain) == {"plain-frames", "sound"}
