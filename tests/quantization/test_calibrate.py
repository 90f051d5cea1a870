"""Ranges against forward hooks in PyTorch, and the file they are kept in."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from small_chains import session, small_chain
from torch import nn

from scnet_edge.errors import ConfigError, GraphError
from scnet_edge.models.chain import Chain
from scnet_edge.onnx_export.rewrite import exportable
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.quantization.histograms import collect, ranges_by
from scnet_edge.quantization.qdq import quantisable
from scnet_edge.quantization.ranges import (
    SCHEMA,
    CalibrationFile,
    ChosenFrame,
    MethodTrial,
    Preprocessing,
    find_ranges,
    key_of,
    read_ranges,
    write_ranges,
)


def hooked_peaks(chain: Chain, frames: list[np.ndarray]) -> dict[str, float]:
    peaks: dict[str, float] = {}
    for name, module in chain.named_modules():
        if isinstance(module, nn.Conv2d):

            def hook(_: nn.Module, x: tuple[torch.Tensor], name: str = name) -> None:
                peaks[name] = max(peaks.get(name, 0.0), float(x[0].abs().max()))

            module.register_forward_pre_hook(hook)
    for frame in frames:
        with torch.inference_mode():
            chain(torch.from_numpy(frame[None]))
    return peaks


def frames(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(count)]


def test_ranges_are_the_peaks_that_torch_sees() -> None:
    chain = exportable(small_chain(edges=False))
    model = trace_chain(chain)
    names = quantisable(model)
    ranges = ranges_by("minmax", collect(model, names, frames(3), session))
    peaks = hooked_peaks(chain, frames(3))
    assert list(ranges) == names
    assert ranges == pytest.approx({name: peaks[name] for name in ranges}, rel=1e-4)


def test_no_frames_are_refused() -> None:
    model = trace_chain(exportable(small_chain(edges=False)))
    with pytest.raises(GraphError, match="at least one frame"):
        collect(model, quantisable(model), [], session)


def test_a_value_that_is_not_a_number_is_refused(frame: np.ndarray) -> None:
    chain = exportable(small_chain(edges=False))
    chain.scnet.encoder[0][0].weight.data[0] = float("nan")
    model = trace_chain(chain)
    with pytest.raises(GraphError, match="not finite"):
        collect(model, quantisable(model), [frame[0]], session)


@pytest.fixture
def calibration() -> CalibrationFile:
    frame = ChosenFrame(
        sha256="01",
        phash="ab",
        crack_area=0.01,
        brightness=120.5,
        sharpness=0.5,
        red_minus_blue=3.0,
        why="no crack, dark, soft",
    )
    trial = MethodTrial(
        network="scnet", method="mse", f1=0.81, f1_fp32=0.8125, mean_abs_error=1e-5, chosen=True
    )
    blank = CalibrationFile(
        schema=SCHEMA, model="m", weights_sha256={"m": "ab"}, methods={"scnet": "mse"},
        preprocessing=Preprocessing(size_hw=(96, 128), edge_threshold=0.5), equalised=False,
        colours_checked=False, source='two "odd" frames', validation="drawn",
        engine="openvino CPU", key="",
        frames={"a b.png": frame, "c.png": frame}, comparison=(trial, trial),
        ranges={"scnet.encoder.0.0": 1.25, "scnet.encoder.0.3": 1e-7},
        bias_shifts={"scnet.encoder.0.3": [0.1, -2.5e-9]},
    )  # fmt: skip
    return msgspec.structs.replace(blank, key=key_of(blank))


def test_file_round_trip(calibration: CalibrationFile, tmp_path: Path) -> None:
    write_ranges(tmp_path / "m.toml", calibration)
    assert read_ranges(tmp_path / "m.toml") == calibration
    assert find_ranges(str(tmp_path / "m.toml"), {"m": "ab"}, 0.5) == calibration


def test_a_name_with_a_control_character_is_read_back(
    calibration: CalibrationFile, tmp_path: Path
) -> None:
    frames = {f"a{chr(code)}b": next(iter(calibration.frames.values())) for code in (7, 31, 127)}
    odd = msgspec.structs.replace(calibration, frames=frames)
    odd = msgspec.structs.replace(odd, key=key_of(odd))
    write_ranges(tmp_path / "m.toml", odd)
    assert read_ranges(tmp_path / "m.toml") == odd


def test_stale_ranges_are_never_used(calibration: CalibrationFile, tmp_path: Path) -> None:
    write_ranges(tmp_path / "m.toml", calibration)
    with pytest.raises(ConfigError, match="other weights"):
        find_ranges(str(tmp_path / "m.toml"), {"m": "cd"})
    with pytest.raises(ConfigError, match=r"cut at 0\.5, this recipe cuts at 0\.4"):
        find_ranges(str(tmp_path / "m.toml"), {"m": "ab"}, 0.4)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"scnet.encoder.0.0" = 1.25', '"scnet.encoder.0.0" = 1.5'),
        ('"sha256" = "01"', '"sha256" = "02"'),
        ('edge_threshold" = 0.5', 'edge_threshold" = 0.4'),
        ('"scnet" = "mse"', '"scnet" = "minmax"'),
        ("colours_checked = false", "colours_checked = true"),
        ('model = "m"', 'model = "n"'),
        ('source = "two', 'source = "ten'),
        ('validation = "drawn"', 'validation = "photographs"'),
        ('engine = "openvino CPU"', 'engine = "by hand"'),
        ('"f1" = 0.81,', '"f1" = 0.99,'),
    ],
)
def test_an_edited_file_is_refused(
    old: str, new: str, calibration: CalibrationFile, tmp_path: Path
) -> None:
    path = tmp_path / "m.toml"
    write_ranges(path, calibration)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match="edited or damaged"):
        read_ranges(path)


def test_other_schema_and_unknown_name_are_refused(
    calibration: CalibrationFile, tmp_path: Path
) -> None:
    write_ranges(tmp_path / "m.toml", msgspec.structs.replace(calibration, schema=9))
    with pytest.raises(ConfigError, match="schema 9"):
        read_ranges(tmp_path / "m.toml")
    (tmp_path / "old.toml").write_text("schema = 1\n")
    with pytest.raises(ConfigError, match="schema 1"):
        read_ranges(tmp_path / "old.toml")
    write_ranges(tmp_path / "m.toml", calibration)
    (tmp_path / "m.toml").write_text((tmp_path / "m.toml").read_text().replace("bgr", "rgb"))
    with pytest.raises(ConfigError, match="Invalid enum value 'rgb'"):
        read_ranges(tmp_path / "m.toml")
    with pytest.raises(ConfigError, match="no INT8 ranges named 'nothing'"):
        find_ranges("nothing", {})
