from pathlib import Path

import numpy as np
import pytest

from scnet_edge.runtime import run_folder
from scnet_edge.runtime.fake_source import drawn_frames, fake_source
from scnet_edge.runtime.loop import run_loop
from scnet_edge.types import Frame, Result


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
