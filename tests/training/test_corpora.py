"""A corpus trains: shares, what is held out, and a run that is a model afterwards."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import scnet_edge.cli.evaluate
import scnet_edge.cli.statistics
import scnet_edge.cli.train  # noqa: F401  (registers the command)
from scnet_edge.cli import main
from scnet_edge.config import read_json
from scnet_edge.data.augment import Augmentation, training_crop
from scnet_edge.data.corpus import read_corpus
from scnet_edge.errors import ConfigError
from scnet_edge.evaluation.domains import DomainScores
from scnet_edge.models.cards import find_card
from scnet_edge.models.scnet import SCNetConfig
from scnet_edge.training import presets
from scnet_edge.training.corpora import draw_views, load_corpus
from scnet_edge.training.images import TrainingImage, blend_cracks
from scnet_edge.training.material import mine
from scnet_edge.training.presets import Preset
from scnet_edge.training.run import request
from scnet_edge.training.schedule import Schedule

Captured = pytest.CaptureFixture[str]
CORPUS = """
licence = "mine"
plain = 0.1
blended = 0.2
[[set]]
name = "walls"
data = "folder:$SETS/walls"
share = 0.5
licence = "mine"
taught = true
lends = true
[[set]]
name = "pipe"
data = "negative:$SETS/pipe"
share = 0.3
licence = "theirs"
takes = true
[[set]]
name = "seen"
data = "image-level:$SETS/pipe"
share = 0
licence = "theirs"
"""
QUICK = Preset(
    about="a toy",
    config=SCNetConfig(
        width=1 / 16, levels=3, norm="instance", edges=False, stem="half", decoder="skip"
    ),
    schedule=Schedule(
        steps=4, batch=2, validate_every=4, augmentation=Augmentation(crop=32, photometric="field")
    ),
)


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fifteen walls with a crack, and fifteen frames of a pipe without."""
    for i in range(15):
        mask = np.zeros((96, 128), np.uint8)
        cv2.line(mask, (0, 20 + 2 * i), (127, 60), 255, 4)
        for kind, image in (
            ("walls/images", np.where(mask > 0, 50, 190)),
            ("walls/masks", mask),
            ("pipe", np.full((96, 128), 100 + 5 * i)),
        ):
            (tmp_path / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / kind / f"{i:02}.png"), image.astype(np.uint8))
    monkeypatch.setenv("SETS", str(tmp_path))
    monkeypatch.setitem(presets.PRESETS, "toy", QUICK)
    (tmp_path / "mine.toml").write_text(CORPUS)
    return tmp_path / "mine.toml"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["scnet-edge", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_views_of_pipes_and_walls_have_their_shares(
    corpus: Path,
) -> None:
    corpus.write_text(
        CORPUS.replace("plain = 0.1", "pipe_views = 0.3\nwall_views = 0.2\nviews = 16").replace(
            "blended = 0.2", ""
        )
    )
    images, _ = load_corpus(read_corpus(corpus))
    views = [image for image in images if image.frame.shape == (384, 544, 3)]
    assert len(views) == 32
    assert sum(view.share for view in views) == pytest.approx(0.5)
    assert any(view.mask.any() for view in views)
    assert any(not view.mask.any() for view in views)
    assert not any(view.taught for view in views)


def test_half_of_the_views_of_one_tone_are_cut() -> None:
    """Only surfaces of one tone can have a crack here: no picture has any."""
    sound = TrainingImage(np.full((60, 80, 3), 180, np.uint8), np.zeros((60, 80), np.bool_), None)
    views = draw_views("pipe", [sound], [sound], np.random.default_rng(2), count=96)
    cut = [view for view in views[::8] if view.mask.any()]
    assert 3 <= len(cut) <= 9
    assert not any(view.mask.any() for place, view in enumerate(views) if place % 8)
    for view in cut:
        grey = cv2.cvtColor(view.frame, cv2.COLOR_BGR2GRAY)
        assert grey[view.mask].mean() < 0.95 * cv2.medianBlur(grey, 31)[view.mask].mean()


def test_each_set_has_its_share_and_every_tenth_image_is_held_out(corpus: Path) -> None:
    images, held = load_corpus(read_corpus(corpus))
    assert {domain: len(samples) for domain, samples in held.items()} == {
        "walls": 2,
        "pipe": 2,
        "blended-into-pipe": len(held["blended-into-pipe"]),
    }
    assert all(sample.read_mask().any() for sample in held["blended-into-pipe"])
    names = {sample.name for sample in held["walls"]}
    assert len(names) == 2
    walls = [image for image in images if image.taught]
    assert len(walls) == 10
    assert sum(image.share for image in walls) == pytest.approx(0.5)
    assert sum(image.share for image in images) == pytest.approx(1.1)
    sound = [i for i in images if not i.taught and not i.cracks]
    assert sum(image.share for image in sound) == pytest.approx(0.4)  # the pipe and plain frames
    takers = [image for image in images if image.cracks]
    assert sum(image.share for image in takers) == pytest.approx(0.2)
    rng = np.random.default_rng(0)
    made = [blend_cracks(image, rng) for image in takers for _ in range(2)]
    made = [image for image in made if image.mask.any()]
    assert made
    assert all(i.frame[i.mask].mean() < i.frame[~i.mask].mean() for i in made)
    assert len({image.mask.tobytes() for image in made}) == len(made)  # another each time


def test_a_corpus_trains_and_scores_by_the_command_line(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "mine"
    assert run(monkeypatch, "train", "toy", "--corpus", corpus, "--out", out) == 0
    card = find_card(str(out))
    assert (card.licence, card.steps) == ("mine", 4)
    assert "walls (mine), pipe (theirs), plain images of ours, blended images" in card.data
    assert run(monkeypatch, "train", "toy", "--corpus", corpus, "--out", out, "--resume") == 0
    corpus.write_text(CORPUS.replace("share = 0.3", "share = 0.4"))
    assert run(monkeypatch, "train", "toy", "--corpus", corpus, "--out", out, "--resume") == 1
    assert "its run has another corpus" in capsys.readouterr().err

    scores = tmp_path / "scores.json"
    assert run(monkeypatch, "evaluate", out, "--corpus", corpus, "--json", scores) == 0
    domains = read_json(scores, DomainScores).domains
    assert set(domains) == {"walls", "pipe", "seen", "cracks-pasted-into-pipe", "plain-frames"}
    walls, pipe, seen = (domains[name] for name in ("walls", "pipe", "seen"))
    assert walls.cracks is not None
    assert walls.cracks.images == 3
    assert pipe.alarms is not None
    assert pipe.alarms.frames == 3
    assert pipe.cracks is None
    assert seen.image_level is not None
    pasted = domains["cracks-pasted-into-pipe"].cracks
    assert pasted is not None
    assert pasted.cracks > 50

    assert run(monkeypatch, "statistics", "--corpus", corpus, "--json", scores) == 0
    counted = json.loads(scores.read_text())
    assert {name: row["cracked"] for name, row in counted.items()} == {
        "walls": 15,
        "pipe": 0,
        "seen": 15,
    }


def test_images_without_masks_are_scored_alone(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = f"negative:{tmp_path / 'pipe'}"
    assert run(monkeypatch, "evaluate", "scnet-tiny", "--data", spec, "--split", "all") == 0
    assert "of 15 frames without a crack alarmed" in capsys.readouterr().out
    plots = ("--plots", tmp_path / "plots")
    assert run(monkeypatch, "evaluate", "scnet-tiny", "--data", spec, *plots) == 1
    assert "--plots and --record are for one data set with masks" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "evaluate", "statistics"])
def test_data_or_a_corpus_is_needed(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    what = {"train": ("toy", "--out", tmp_path / "o"), "evaluate": ("scnet-tiny",)}
    assert run(monkeypatch, command, *what.get(command, ())) == 1
    assert "expected --data or --corpus, found both or none" in capsys.readouterr().err


def test_a_corpus_may_have_a_scale_of_its_own(corpus: Path) -> None:
    corpus.write_text("scale = [0.5, 3.0]\n" + CORPUS)
    preset = request("toy", (), corpus=read_corpus(corpus)).preset
    assert preset.schedule.augmentation == dataclasses.replace(
        QUICK.schedule.augmentation, scale=(0.5, 3.0)
    )


def test_mistakes_come_again(corpus: Path) -> None:
    """What the model takes for a crack in a sound image is where crops of it are cut."""
    images, _ = load_corpus(read_corpus(corpus))
    sound = [i for i, image in enumerate(images) if not (image.mask.any() or image.cracks)]
    loud = sound[0]

    def run(frame: np.ndarray) -> np.ndarray:
        probability = np.zeros(frame.shape[:2], np.float32)
        if frame is images[loud].frame:
            probability[10:30, 20:50] = 0.9
        return probability

    again = mine(images, run)
    assert sum(again[i].share for i in sound) == pytest.approx(sum(images[i].share for i in sound))
    one = next(i for i in sound if i != loud and images[i].share == images[loud].share)
    assert again[loud].share == pytest.approx(6 * again[one].share)
    assert again[one].focus is None
    others = set(range(len(images))) - set(sound)
    assert all(again[i].share == images[i].share for i in others)
    how = Augmentation(crop=16, photometric="none", scale=(1, 1), rotation_deg=0, crack_bias=1)
    focus = again[loud].focus
    assert focus is not None
    marked = np.where(focus[..., None], 255, 0).astype(np.uint8).repeat(3, 2)
    crops = [
        training_crop(marked, images[loud].mask, None, how, np.random.default_rng(i), focus=focus)
        for i in range(20)
    ]
    assert all(crop.frame.any() for crop in crops)


@pytest.mark.parametrize("given", [("--start", "scnet-tiny"), ()])
def test_mining_needs_a_start_and_a_corpus(
    given: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    data = ("--data", f"folder:{tmp_path}", "--out", tmp_path / "out", *given)
    monkeypatch.setitem(presets.PRESETS, "toy", QUICK)
    assert run(monkeypatch, "train", "toy", "--mine", *data) == 1
    assert "--mine looks for mistakes of --start" in capsys.readouterr().err


def test_a_set_without_masks_cannot_have_a_share(corpus: Path) -> None:
    corpus.write_text(CORPUS.replace("share = 0\n", "share = 0.1\n"))
    with pytest.raises(ConfigError, match="'seen' has no masks to learn from"):
        load_corpus(read_corpus(corpus))
