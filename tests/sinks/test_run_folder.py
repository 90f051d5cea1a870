import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sink_frames import frame_result, recorder

from scnet_edge.runtime.loop import Segment, run_loop
from scnet_edge.runtime.schedule import Cascade
from scnet_edge.sinks import run_folder
from scnet_edge.sinks.open import open_sinks
from scnet_edge.sinks.run_folder import output_folder
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
    with run_folder.open_run_folder(tmp_path, recorder(), fps=None) as results:
        run_loop(fake_source(drawn_frames(9), live=False), dark, [results])
        results.write_page({"Source": "drawn"})
    assert len(results.records) == 4
    assert len(frames_of(tmp_path)) == 9
    assert len(list((tmp_path / "masks").iterdir())) == 9
    page = (tmp_path / "report.html").read_text()
    assert "the first 4 of 9 frames; results.jsonl has all" in page


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").symlink_to("/dev/full")
    with (
        pytest.raises(OSError, match=r"No space left .*results\.jsonl") as refused,
        run_folder.open_run_folder(tmp_path, recorder(), fps=None) as results,
    ):
        results.write(frame_result(0))
    assert refused.value.filename == str(tmp_path / "results.jsonl")


def run_into(out: Path, frames: int, segment: Segment, *, overwrite: bool = False) -> set[str]:
    """Run over drawn frames; return what the folder then holds."""
    with (
        output_folder(out, overwrite=overwrite) as folder,
        run_folder.open_run_folder(folder, recorder(), fps=None) as results,
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
    stages = {len(record["timing_ms"]) for record in frames_of(tmp_path / "out")}
    assert stages == {2, 3}


def test_a_run_without_a_frame_has_no_page_and_is_no_error(tmp_path: Path) -> None:
    run_into(tmp_path, 2, dark)
    assert run_into(tmp_path, 0, dark, overwrite=True) == {"masks", "results.jsonl"}
    assert frames_of(tmp_path) == []


def test_the_folder_has_the_records_of_a_jsonl_sink(tmp_path: Path) -> None:
    recorded, item = recorder(), frame_result(3)
    (tmp_path / "out").mkdir()
    with run_folder.open_run_folder(tmp_path / "out", recorded, fps=None) as results:
        results.write(item)
    with open_sinks([f"jsonl:{tmp_path / 'run.jsonl'}"], recorded) as sinks:
        sinks[0].write(item)
    ours = (tmp_path / "out" / "results.jsonl").read_text()
    assert ours == (tmp_path / "run.jsonl").read_text()


def records_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]


def frames_of(out: Path) -> list[dict[str, Any]]:
    return [record for record in records_of(out) if record["kind"] == "frame"]
