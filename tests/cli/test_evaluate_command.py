"""`scnet-edge evaluate` on drawn walls, with a small model of random weights and its bundle."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

import scnet_edge.cli.evaluate  # registers the command
import scnet_edge.cli.models  # noqa: F401  (registers the command)
from scnet_edge.cli import main
from scnet_edge.config import read_json
from scnet_edge.data.datasets import open_dataset
from scnet_edge.engines import torch_eager
from scnet_edge.engines.base import list_engines
from scnet_edge.engines.torch_eager import TorchBackend
from scnet_edge.evaluation.predict import reference_run
from scnet_edge.evaluation.scores import Evaluation
from scnet_edge.models import cards
from scnet_edge.models.cards import CardConfig, find_card, write_card
from scnet_edge.models.chain import Chain
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.models.weights import measure_card, open_scnet, save_weights
from scnet_edge.runtime.pipeline import Pipeline

CONFIG = SCNetConfig(width=1 / 16, levels=3, norm="batch", edges=False)


@pytest.fixture
def walls(tmp_path: Path) -> Path:
    """A folder of walls with a dark line each, of two sizes; neither divides by the stride."""
    for i, (h, w) in enumerate([(50, 70), (50, 70), (44, 61)]):
        mask = np.zeros((h, w), np.uint8)
        cv2.line(mask, (0, 5 + 10 * i), (w - 1, h - 8), 255, 3)
        for kind, image in (("images", np.where(mask > 0, 30, 190)), ("masks", mask)):
            folder = tmp_path / "walls" / "test" / kind
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{i}.png"), image.astype(np.uint8))
    return tmp_path / "walls"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a model in a package folder of its own."""
    folder = tmp_path / "package" / "weights"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    save_weights(SCNet(CONFIG), folder / "tiny.safetensors")
    card = msgspec.structs.replace(
        find_card("hed"),
        hed_width=None,
        name="tiny",
        kind="scnet",
        file="tiny.safetensors",
        config=CardConfig(**{f: getattr(CONFIG, f) for f in CardConfig.__struct_fields__}),
        threshold=0.48,
    )
    write_card(folder / "tiny.json", measure_card(card, folder / "tiny.safetensors"))
    monkeypatch.setattr(cards, "PACKAGE", tmp_path / "package")
    return "tiny"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["scnet-edge", "evaluate", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_model_scores_are_those_of_its_maps(
    walls: Path,
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, spec = tmp_path / "scores.json", f"folder:{walls}"
    assert run(monkeypatch, tiny, "--data", spec, "--json", out) == 0
    scores = read_json(out, Evaluation)
    reference = reference_run(open_scnet(find_card(tiny)), None)
    samples = open_dataset(spec)
    truth = np.concatenate([s.read_mask().ravel() for s in samples])
    ours = np.concatenate([reference(s.read_frame()).ravel() for s in samples]) >= np.float32(0.48)
    assert scores.images == 3
    assert scores.data == "folder test"
    assert scores.shipped.threshold == 0.48
    assert scores.shipped.f1 == pytest.approx(f1_score(truth, ours, zero_division=1))
    printed = capsys.readouterr().out
    assert f"F1 {scores.shipped.f1:.4f}" in printed
    assert f"F1 {scores.ods.f1:.4f}" in printed


@pytest.mark.skipif("onnxruntime" not in list_engines(), reason="needs onnxruntime")
def test_bundle_scores_are_those_of_its_pipeline(
    walls: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scnet_edge.build import build_bundle
    from scnet_edge.bundle.recipe import Recipe

    bundle, out = tmp_path / "bundle", tmp_path / "scores.json"
    build_bundle(Recipe(precision="fp32", model=tiny, size_hw=(64, 96)), bundle)
    options = ("--data", f"folder:{walls}", "--engine", "onnxruntime", "--json", out)
    assert run(monkeypatch, bundle, *options) == 0
    scores = read_json(out, Evaluation)
    with Pipeline.open(bundle, engine="onnxruntime") as pipeline:
        samples = open_dataset(f"folder:{walls}")
        ours = np.concatenate([pipeline(s.read_frame()).mask.ravel() for s in samples])
        assert scores.engine == pipeline.engine
    truth = np.concatenate([s.read_mask().ravel() for s in samples])
    assert scores.shipped.f1 == pytest.approx(f1_score(truth, ours, zero_division=1))


def test_mistakes_are_one_line(
    walls: Path,
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = f"folder:{walls}"
    (tmp_path / "empty").mkdir()
    mistakes = {
        ("nothing", "--data", spec): "expected a bundle folder, a training run",
        ("hed", "--data", spec): "expected a bundle folder, a training run",
        (tmp_path / "gone", "--data", spec): "expected a bundle folder, a training run",
        (tmp_path / "empty", "--data", spec): "manifest.json",
        (tiny, "--data", spec, "--refine"): "--refine is for runs of deepcrack-liu; tiny is scnet",
        (tiny, "--data", spec, "--tolerance", 0, 99): "tolerance 99: expected 0 to 50",
        (tiny, "--data", "folder"): "expected NAME:DIR",
        (tiny, "--data", f"folder:{tmp_path / 'empty'}"): "no images",
        (tiny, "--data", spec, "--split", "best"): "expected one of train, test, all",
        (tiny, "--data", spec, "--engine", "openvino"): "--engine is for bundles",
        (tiny, "--data", spec, "--device", "tpu"): "expected auto, cpu",
        (tiny, "--data", spec, "--refine", "--device", "cuda"): "--refine runs on the CPU",
        (tmp_path / "empty", "--data", spec, "--device", "cuda"): "--device is for models",
        (tiny, "--data", spec, "--json", tmp_path / "no" / "f.json"): "a folder that exists",
        (tiny, "--data", spec, "--json", tmp_path): "expected a file to write",
    }
    for arguments, line in mistakes.items():
        assert run(monkeypatch, *arguments) == 1, arguments
        error = capsys.readouterr().err.strip().splitlines()
        assert error[-1].startswith("scnet-edge: "), arguments
        assert line in error[-1], arguments
        assert len(error) == 1, arguments


def test_a_model_runs_on_the_device_that_was_named(
    walls: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with two GPUs, as far as torch is asked; what is meant for one stays on the CPU."""
    asked, out = set(), tmp_path / "scores.json"

    def noted(chain: Chain, *, device: str) -> TorchBackend:
        asked.add(device)
        return TorchBackend(chain)

    monkeypatch.setattr(torch_eager, "TorchBackend", noted)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    options = ("--data", f"folder:{walls}", "--device", "cuda:1", "--json", out)
    assert run(monkeypatch, tiny, *options) == 0
    assert asked == {"cuda:1"}
    assert read_json(out, Evaluation).engine == "PyTorch FP32 on cuda:1"


def test_a_bundle_is_the_same_beside_a_gpu(
    walls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    (tmp_path / "empty").mkdir()
    options = ("--data", f"folder:{walls}", "--device", "auto")
    assert run(monkeypatch, tmp_path / "empty", *options) == 1
    assert "manifest.json: no such file" in capsys.readouterr().err


def test_spoilt_mask_writes_nothing(
    walls: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (walls / "test" / "masks" / "2.png").write_bytes(b"")
    out = tmp_path / "scores.json"
    assert run(monkeypatch, tiny, "--data", f"folder:{walls}", "--json", out) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("crack", "rest", "found"),
    [
        (0, 0, "expected cracks in the masks"),
        (20, 0, "nothing above 20"),
        (255, 255, "of it is crack, so it looks inverted"),
    ],
)
def test_masks_without_two_classes_are_one_line(
    walls: Path,
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    crack: int,
    rest: int,
    found: str,
) -> None:
    for path in (walls / "test" / "masks").iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(path), np.where(mask > 0, crack, rest).astype(np.uint8))
    out = tmp_path / "scores.json"
    assert run(monkeypatch, tiny, "--data", f"folder:{walls}", "--json", out) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("scnet-edge: ")
    assert found in error
    assert not out.exists()


def test_json_has_the_figures_of_the_literature(
    walls: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "scores.json"
    options = ("--data", f"folder:{walls}", "--tolerance", 0, 1, 5, "--json", out)
    assert run(monkeypatch, tiny, *options) == 0
    scores = json.loads(out.read_text())
    assert set(scores) >= {"images", "ods", "ois", "auprc", "iou", "miou", "patch_f1", "tolerance"}
    assert set(scores["ods"]) >= {"f1", "threshold", "ci95"}
    assert list(scores["tolerance"]) == ["0", "1", "5"]
    assert scores["tolerance"]["0"] == scores["ods"]["f1"] <= scores["tolerance"]["5"]


def test_a_training_run_is_evaluated_by_its_folder(
    walls: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, spec = tmp_path / "mine", f"folder:{walls}"
    folder.mkdir()
    card = find_card(tiny)
    (folder / "mine.safetensors").write_bytes(card.path.read_bytes())
    named = msgspec.structs.replace(card, name="mine", file="mine.safetensors")
    write_card(folder / "mine.json", named)
    for subject, out in ((tiny, tmp_path / "a.json"), (folder, tmp_path / "b.json")):
        assert run(monkeypatch, subject, "--data", spec, "--json", out) == 0
    a, b = (read_json(tmp_path / name, Evaluation) for name in ("a.json", "b.json"))
    assert a.ods == b.ods


def test_plots_show_curve_and_telling_images(
    walls: Path, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plots = tmp_path / "plots"
    assert run(monkeypatch, tiny, "--data", f"folder:{walls}", "--plots", plots) == 0
    assert (plots / "precision-recall.png").is_file()
    assert {p.name for p in plots.iterdir() if p.is_dir()} == {"good", "median", "failed", "thin"}
    assert cv2.imread(str(next((plots / "good").iterdir()))).ndim == 3
