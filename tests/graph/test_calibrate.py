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
from scnet_edge.graph.calibrate import calibrate_chain
from scnet_edge.graph.qdq import quantisable, quantise
from scnet_edge.graph.ranges import CalibrationFile, find_ranges, read_ranges, write_ranges
from scnet_edge.graph.rewrite import exportable
from scnet_edge.graph.trace import trace_chain
from scnet_edge.models.chain import Chain


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
    ranges = calibrate_chain(model, lambda: frames(3), session)
    peaks = hooked_peaks(chain, frames(3))
    assert list(ranges) == quantisable(model)
    assert ranges == pytest.approx({name: peaks[name] for name in ranges}, rel=1e-4)


def test_scnet_is_calibrated_behind_the_quantised_hed() -> None:
    model = trace_chain(exportable(small_chain()))
    ranges = calibrate_chain(model, lambda: frames(2), session)
    hed = {name: peak for name, peak in ranges.items() if name.startswith("hed.")}
    behind = calibrate_chain(quantise(model, hed), lambda: frames(2), session)
    scnet = [name for name in ranges if name.startswith("scnet.")]
    assert scnet
    assert {n: ranges[n] for n in scnet} == pytest.approx({n: behind[n] for n in scnet})


def test_no_frames_are_refused() -> None:
    with pytest.raises(GraphError, match="at least one frame"):
        calibrate_chain(trace_chain(exportable(small_chain(edges=False))), lambda: [], session)


@pytest.fixture
def calibration() -> CalibrationFile:
    return CalibrationFile(
        schema=1, model="m", weights_sha256={"m": "ab"}, method="minmax",
        source='two "odd" frames', frames={"a b.png": "01", "c.png": "02"},
        ranges={"scnet.encoder.0.0": 1.25, "scnet.encoder.0.3": 3.0},
    )  # fmt: skip


def test_file_round_trip(calibration: CalibrationFile, tmp_path: Path) -> None:
    write_ranges(tmp_path / "m.toml", calibration)
    assert read_ranges(tmp_path / "m.toml") == calibration
    assert find_ranges(str(tmp_path / "m.toml"), {"m": "ab"}) == calibration


def test_ranges_of_other_weights_are_refused(calibration: CalibrationFile, tmp_path: Path) -> None:
    write_ranges(tmp_path / "m.toml", calibration)
    with pytest.raises(ConfigError, match="other weights"):
        find_ranges(str(tmp_path / "m.toml"), {"m": "cd"})


def test_other_schema_and_unknown_name_are_refused(
    calibration: CalibrationFile, tmp_path: Path
) -> None:
    write_ranges(tmp_path / "m.toml", msgspec.structs.replace(calibration, schema=9))
    with pytest.raises(ConfigError, match="schema 9"):
        read_ranges(tmp_path / "m.toml")
    with pytest.raises(ConfigError, match="no INT8 ranges named 'nothing'"):
        find_ranges("nothing", {})
