import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scnet_edge.runtime.cascade import Cascade
from scnet_edge.runtime.loop import Segment, run_loop
from scnet_edge.sinks import run_folder
from scnet_edge.sinks.run_files import output_folder
from scnet_edge.types import Frame, Result
from scnet_edge.video.fake_source import drawn_frames, fake_source


def dark(frame: Frame) -> Result:
    mask = frame[..., 0] < 128
    timing = {"engine": 1.0}
    return Result(mask=mask, probability=mask.astype(np.float32), edges=None, timing=timing)


def test_the_page_of_a_long_run_is_bounded_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "MAX_RECORDS", 4)
    with run_folder.open_run_folder(tmp_path, fps=None) as results:
        run_loop(fake_source(drawn_frames(9), live=False), dark, [results])
        results.write_page({"Source": "drawn"})
    assert len(results.records) == 4
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 9
    assert len(list((tmp_path / "masks").iterdir())) == 9
    page = (tmp_path / "report.html").read_text()
    assert "the first 4 of 9 frames; results.jsonl has all" in page


def run_into(out: Path, frames: int, segment: Segment, *, overwrite: bool = False) -> set[str]:
    """Run over drawn frames; return what the folder then holds."""
    with (
        output_folder(out, overwrite=overwrite) as folder,
        run_folder.open_run_folder(folder, fps=None) as results,
    ):
        run_loop(fake_source(drawn_frames(frames), live=False), segment, [results])
        results.write_page({"Source": "drawn"})
    return {path.name for path in out.iterdir()}


def test_a_page_takes_frames_that_woke_the_gate_and_those_that_did_not(tmp_path: Path) -> None:
    calls = itertools.count()

    def cheap(frame: Frame) -> Result:
        seen = dark(frame)
        return seen if next(calls) == 3 else replace(seen, probability=0 * seen.probability)

    gate = Cascade(cheap, dark, threshold=0.5, wake_px=1, hold=1)
    assert "report.html" in run_into(tmp_path / "out", 8, gate)
    stages = {len(json.loads(line)["timing_ms"]) for line in lines(tmp_path / "out")}
    assert stages == {2, 3}


def test_a_run_without_a_frame_has_no_page_and_is_no_error(tmp_path: Path) -> None:
    run_into(tmp_path, 2, dark)
    assert run_into(tmp_path, 0, dark, overwrite=True) == {"masks", "results.jsonl"}
    assert lines(tmp_path) == []


def lines(out: Path) -> list[str]:
    return (out / "results.jsonl").read_text().splitlines()
