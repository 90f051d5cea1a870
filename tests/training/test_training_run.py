"""A run from the command line to a model, on drawn walls: killed, resumed, evaluated, built."""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import closing
from itertools import product
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

import scnet_edge.cli.train  # noqa: F401  (registers the command)
from scnet_edge.build import build_bundle
from scnet_edge.bundle.manifest import FUSED
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.cli import main
from scnet_edge.data.augment import Augmentation
from scnet_edge.data.datasets import open_dataset
from scnet_edge.engines.base import open_backend
from scnet_edge.errors import ConfigError
from scnet_edge.evaluation.metrics import add_up, count, ods
from scnet_edge.evaluation.predict import reference_run
from scnet_edge.models.cards import find_card, weights_of
from scnet_edge.models.chain import Chain
from scnet_edge.models.scnet import SCNetConfig
from scnet_edge.models.weights import count_parameters, open_hed, open_scnet
from scnet_edge.simulation.optics import MODES
from scnet_edge.simulation.walls import MATERIALS
from scnet_edge.training import loop, presets
from scnet_edge.training import run as train
from scnet_edge.training.edge_maps import KeptHED, agreement
from scnet_edge.training.material import draw_pipes, ride_plan, split_held_out
from scnet_edge.training.presets import PRESETS, Preset, new_model
from scnet_edge.training.schedule import Schedule

QUICK = Preset(
    about="a toy",
    config=SCNetConfig(
        width=1 / 16, levels=3, norm="batch", edges=False, stem="half", decoder="skip"
    ),
    schedule=Schedule(
        steps=6,
        batch=2,
        lr=5e-3,
        warmup=2,
        ema_decay=0.5,
        checkpoint_every=2,
        validate_every=4,
        augmentation=Augmentation(crop=32),
    ),
)


@pytest.fixture(autouse=True)
def toy_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(presets.PRESETS, "toy", QUICK)


@pytest.fixture
def walls(tmp_path: Path) -> Path:
    """A folder of image and mask pairs, as a user has them: 12 train, 3 test."""
    for i in range(15):
        mask = np.zeros((64, 96), np.uint8)
        cv2.line(mask, (0, 4 + 4 * i), (95, 60 - 3 * i), 255, 4)
        for kind, image in (("images", np.where(mask > 0, 30, 190)), ("masks", mask)):
            (tmp_path / "walls" / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "walls" / kind / f"{i}.png"), image.astype(np.uint8))
    return tmp_path / "walls"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["scnet-edge", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_run_is_a_model_with_the_threshold_of_held_out_images(
    walls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, spec = tmp_path / "mine", f"folder:{walls}"
    assert run(monkeypatch, "train", "toy", "--data", spec, "--out", out) == 0
    card = find_card(str(out))
    assert (card.name, card.steps, card.path) == ("mine", 6, out / "mine.safetensors")
    reference = reference_run(open_scnet(card), None)
    _, held = split_held_out(open_dataset(spec, "train"))
    best = ods(add_up([count(reference(s.read_frame()), s.read_mask()) for s in held]))
    assert card.threshold == best.threshold
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "f1" in row] == [4, 6]
    assert rows[-1]["f1"] == pytest.approx(best.f1)
    assert cv2.imread(str(out / "curves.png")) is not None
    pictures = sorted((out / "pictures").iterdir())
    assert {p.name[:6] for p in pictures} == {"000004", "000006"}
    assert run(monkeypatch, "evaluate", out, "--data", spec, "--json", tmp_path / "f.json") == 0
    assert json.loads((tmp_path / "f.json").read_text())["shipped"]["threshold"] == card.threshold


@pytest.mark.parametrize(
    ("module", "name", "time"),
    [(loop, "update", 4), (train, "_draw", 1), (train, "_draw", 2), (train, "save_weights", 2)],
    ids=["in a step", "in a validation", "in the last one", "before it wrote anything"],
)
def test_killed_and_resumed_equals_uninterrupted(
    walls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    time: int,
) -> None:
    spec = f"folder:{walls}"
    assert run(monkeypatch, "train", "toy", "--data", spec, "--out", tmp_path / "a" / "run") == 0

    class Killed(BaseException):
        pass

    called, calls = getattr(module, name), []

    def stop(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == time:
            raise Killed
        return called(*arguments)

    monkeypatch.setattr(module, name, stop)
    arguments = ("train", "toy", "--data", spec, "--out", tmp_path / "b" / "run")
    monkeypatch.setattr(sys, "argv", ["scnet-edge", *map(str, arguments)])
    with pytest.raises(Killed):
        main()
    monkeypatch.setattr(module, name, called)
    assert run(monkeypatch, *arguments, "--resume") == 0
    for file in ("run.safetensors", "run.json", "log.jsonl"):
        a, b = ((tmp_path / side / "run" / file).read_bytes() for side in "ab")
        assert a == b, file


def test_a_run_older_than_an_option_goes_on(
    walls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("train", "toy", "--data", f"folder:{walls}", "--out", tmp_path / "run")
    assert run(monkeypatch, *arguments) == 0
    path = tmp_path / "run" / "settings.json"
    settings = json.loads(path.read_text())
    del settings["schedule"]["fine_levels"], settings["schedule"]["augmentation"]["crack_bias"]
    path.write_text(json.dumps(settings))
    assert run(monkeypatch, *arguments, "--resume") == 0
    assert run(monkeypatch, *arguments, "--resume", "--batch", 4) == 1


def test_a_finished_run_is_finished(
    walls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is read or written again, and no loss is shown where none was."""
    arguments = ("train", "toy", "--data", f"folder:{walls}", "--out", tmp_path / "run")
    assert run(monkeypatch, *arguments) == 0
    capsys.readouterr()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*")}
    open_dataset(f"folder:{walls}", "train")[0].mask.write_bytes(b"")
    assert run(monkeypatch, *arguments, "--resume") == 0
    said = capsys.readouterr()
    assert "finished already, all 6 steps" in " ".join(said.err.split())
    assert "loss nan" not in said.err
    assert "trained; scnet-edge evaluate" in said.out
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*")} == before


@pytest.mark.parametrize("which", [0, 1], ids=["held out", "fitting"])
def test_a_mask_that_does_not_fit_leaves_the_folder_free(
    walls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    which: int,
) -> None:
    mask = open_dataset(f"folder:{walls}", "train")[which].mask
    whole = cv2.imread(str(mask))
    cv2.imwrite(str(mask), whole[:-1])
    arguments = ("train", "toy", "--data", f"folder:{walls}", "--out", tmp_path / "run")
    assert run(monkeypatch, *arguments) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(", 96x63 px, found 96x64 px; replace one of them")
    assert not (tmp_path / "run").exists()
    cv2.imwrite(str(mask), whole)
    assert run(monkeypatch, *arguments) == 0


def test_mistakes_are_one_line(
    walls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec, out = f"folder:{walls}", tmp_path / "run"
    quick = ("--data", spec, "--out", out, "--steps", 1)
    assert run(monkeypatch, "train", "toy", *quick) == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    capsys.readouterr()
    mistakes = {
        ("toys", *quick): "preset 'toys': expected one of paper, modern",
        ("toy", *quick): "holds a run; pass --resume",
        ("toy", *quick, "--resume", "--lr", 1): "its run has another schedule",
        ("toy", "--data", spec, "--out", tmp_path / "full"): "not empty and no run of ours",
        ("toy", *quick[:3], tmp_path / "x", "--resume"): "expected a run to go on with, found none",
        ("toy", *quick[:3], tmp_path / "x", "--precision", "int4"): "expected fp32 or bf16",
        ("toy", *quick[:3], tmp_path / "x", "--device", "tpu"): "expected auto, cpu",
        ("toy", *quick[:3], tmp_path / "x", "--start", "nothing"): "model 'nothing'",
        ("toy", *quick[:3], tmp_path / "x", "--start", "hed"): "of kind scnet, found hed",
        ("patchnet", *quick[:3], tmp_path / "x", "--start", "scnet-tiny"): (
            "--start scnet-tiny: expected weights of kind patchnet, found scnet"
        ),
        ("deepcrack-liu", *quick[:3], tmp_path / "x", "--start", "scnet-tiny"): (
            "--start scnet-tiny: expected weights of kind deepcrack-liu, found scnet"
        ),
        (
            "patchnet",
            *quick[:3],
            tmp_path / "x",
            "--fine-levels",
            2,
        ): "found PatchNet; leave it out",
        ("toy", *quick[:3], tmp_path / "x", "--fine-levels", 2): "--fine-levels needs a --start",
        ("toy", *quick[:3], tmp_path / "x", "--fine-levels", 3): "fewer than the model's 3 levels",
    }
    for arguments, line in mistakes.items():
        assert run(monkeypatch, "train", *arguments) == 1, arguments
        error = capsys.readouterr().err.strip().splitlines()
        assert line in error[-1], arguments
        assert error[-1].startswith("scnet-edge: ")
    assert not (tmp_path / "x").exists()


def test_a_batch_that_does_not_divide_leaves_the_folder_free(
    walls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="batch 2: expected a multiple of the 3 processes"):
        train.train_run(train.request("toy", [f"folder:{walls}"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_light_hed_is_trained_and_a_net_behind_it(
    walls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the published HED to a bundle whose one graph has both nets."""
    schedule = dataclasses.replace(QUICK.schedule, steps=2, validate_every=2)
    light = dataclasses.replace(PRESETS["hed-light"], hed_width=1 / 16, schedule=schedule)
    assert QUICK.config is not None
    config = dataclasses.replace(QUICK.config, edges=True)
    monkeypatch.setitem(presets.PRESETS, "toy-hed", light)
    monkeypatch.setitem(
        presets.PRESETS, "toy", dataclasses.replace(QUICK, config=config, schedule=schedule)
    )
    hed, out, spec = tmp_path / "light", tmp_path / "mine", f"folder:{walls}"
    assert run(monkeypatch, "train", "toy-hed", "--data", spec, "--out", hed) == 0
    assert "taught by hed" in find_card(str(hed)).recipe
    learnt = open_hed(str(hed))
    assert count_parameters(learnt) == find_card(str(hed)).parameters
    rows = [json.loads(line) for line in (hed / "log.jsonl").read_text().splitlines()]
    frames = [s.read_frame() for s in split_held_out(open_dataset(spec, "train"))[1]]
    published = KeptHED(open_hed(), tmp_path / "maps").map_of
    assert rows[-1]["f1"] == pytest.approx(agreement(learnt, published, frames))
    options = ("train", "toy", "--data", spec, "--prior", hed)
    assert run(monkeypatch, *options, "--out", out) == 0
    card = find_card(str(out))
    assert card.prior == str(hed)
    assert set(weights_of(card)) == {"mine", "light"}
    recipe = Recipe(model=str(out), precision="fp32", size_hw=(64, 96))
    manifest = build_bundle(recipe, tmp_path / "bundle")
    assert manifest.model.prior == "light"
    chain = Chain(open_scnet(card), learnt, frame_hw=(64, 96), size_hw=(64, 96)).eval()
    frame = frames[0][None]
    with torch.no_grad():
        expected = chain(torch.from_numpy(frame))[0].numpy()
    with closing(open_backend("openvino", tmp_path / "bundle" / FUSED)) as engine:
        assert np.abs(engine.run({"frame": frame})["probability"] - expected).max() < 1e-3
    assert run(monkeypatch, "train", "toy-hed", "--data", spec, "--out", out, "--prior", "hed") == 1
    assert "--prior: expected a preset that sees edges" in capsys.readouterr().err


def test_walls_are_drawn_with_their_prior_where_a_model_takes_it() -> None:
    first, fifth = draw_pipes(lambda frame: frame[..., 1], walls=1, frames=5, rides=0)
    assert first.edges is not None
    assert np.array_equal(first.edges, first.frame[..., 1])
    assert not np.array_equal(first.frame, fifth.frame)
    assert draw_pipes(walls=1, frames=1, rides=0)[0].edges is None


def test_rides_are_drawn_besides_of_every_view_and_material() -> None:
    plans = [ride_plan(number) for number in range(12)]
    assert len({(plan.mode, plan.material, plan.diameter_mm) for plan in plans}) == 12
    assert {(plan.mode, plan.material) for plan in plans[:6]} == set(product(MODES, MATERIALS))
    assert min(plan.seed for plan in plans) > 1000  # the rides that score have small ones
    ride = draw_pipes(walls=0, rides=1)
    assert len(ride) >= 8
    assert {image.frame.shape for image in ride} == {(384, 544, 3)}
    assert 0 < sum(image.mask.any() for image in ride) < len(ride)  # sound wall as well


def test_one_image_is_too_few(walls: Path) -> None:
    with pytest.raises(ConfigError, match="at least 2 training images"):
        split_held_out(open_dataset(f"folder:{walls}")[:1])


def test_held_out_images_without_a_crack_are_refused(
    walls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, held = split_held_out(open_dataset(f"folder:{walls}", "train"))
    for sample in held:
        cv2.imwrite(str(sample.mask), np.zeros((64, 96), np.uint8))
    out = tmp_path / "run"
    assert run(monkeypatch, "train", "toy", "--data", f"folder:{walls}", "--out", out) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert (
        "expected a crack on one of the 2 held-out images, every tenth by name, found none" in error
    )
    assert not out.exists()


def test_masks_that_are_all_crack_are_refused(
    walls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The fitting ones alone, then the held-out ones as well."""
    fit, held = split_held_out(open_dataset(f"folder:{walls}", "train"))
    options = ("train", "toy", "--data", f"folder:{walls}", "--out", tmp_path / "run")
    for spoilt in (fit, held):
        for sample in spoilt:
            cv2.imwrite(str(sample.mask), np.full((64, 96), 255, np.uint8))
        assert run(monkeypatch, *options) == 1
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert "100 % of it is crack, so it looks inverted" in error
        assert not (tmp_path / "run").exists()


def test_the_twin_of_a_test_image_is_left_out_after_the_split(tmp_path: Path) -> None:
    """The layout and the names of DeepCrack: 300 images, of which 11158 is the 79th."""
    mask = np.eye(16, dtype=np.uint8) * 255
    names = [str(11158 - 78 + i) for i in range(300)]
    for folder in ("train_img", "train_lab"):
        (tmp_path / folder).mkdir()
    for name in names:
        cv2.imwrite(str(tmp_path / "train_img" / f"{name}.jpg"), 255 - mask)
        cv2.imwrite(str(tmp_path / "train_lab" / f"{name}.png"), mask)
    fit, held = split_held_out(open_dataset(f"deepcrack:{tmp_path}", "train"))
    assert [s.name for s in held] == names[::10]
    assert [s.name for s in fit] == [n for n in names if n not in names[::10] and n != "11158"]
    assert (len(fit), len(held)) == (269, 30)


@pytest.mark.parametrize("name", [n for n in PRESETS if n != "toy"])
def test_presets_have_models_that_take_their_crops(name: str) -> None:
    preset = PRESETS[name]
    config = preset.config and dataclasses.replace(preset.config, width=1 / 16)
    small = dataclasses.replace(preset, config=config, start="xavier")
    with torch.device("meta"):
        model = new_model(small).eval()
        channels = 4 if preset.takes_prior else 3
        crop = preset.schedule.augmentation.crop
        fused, _ = model(torch.empty(1, channels, crop, crop))
    assert fused.shape == (1, 1, crop, crop)


def test_tensorboard_reads_the_log_of_a_run_that_was_gone_on_with(
    walls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard", reason="pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out, board = tmp_path / "mine", tmp_path / "board"
    options = ("train", "toy", "--data", f"folder:{walls}", "--out", out, "--tensorboard", board)
    updated, updates = loop.update, []

    def stop(*arguments: object) -> object:
        updates.append(1)
        if len(updates) == 4:
            raise KeyboardInterrupt
        return updated(*arguments)

    monkeypatch.setattr(loop, "update", stop)
    assert run(monkeypatch, *options) == 130
    monkeypatch.setattr(loop, "update", updated)
    assert run(monkeypatch, *options, "--resume") == 0
    seen = EventAccumulator(str(board / "mine"))
    seen.Reload()
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    for metric in ("loss", "f1"):
        logged = [(event.step, event.value) for event in seen.Scalars(metric)]
        expected = [(row["step"], pytest.approx(row[metric])) for row in rows if metric in row]
        assert logged == expected
