"""A run that finds the files of an earlier one, or of somebody else: nothing of them is lost."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from sink_frames import frame_result, recorder

from scnet_edge.errors import ConfigError
from scnet_edge.sinks.json_lines import JsonLines
from scnet_edge.sinks.open import open_sinks


def run(folder: Path, *, crack: bool = True) -> str:
    """Make a run of one frame, always of the same name; return its id."""
    specs = [f"jsonl:{folder / 'run.jsonl'}", f"masks:{folder / 'masks'}"]
    with open_sinks(specs, recorder(), backpressure=True) as sinks:
        for sink in sinks:
            sink.write(frame_result(0, crack=crack))
    lines = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    return str([line["run_id"] for line in lines if line["kind"] == "run"][-1])


def test_every_run_has_a_folder_of_masks_that_its_records_name(tmp_path: Path) -> None:
    first = run(tmp_path)
    [path] = (tmp_path / "masks").rglob("*.png")
    path.write_bytes(b"the first run's")
    second, empty = run(tmp_path), run(tmp_path, crack=False)
    assert path == tmp_path / "masks" / first / "frame-000000.png"
    assert path.read_bytes() == b"the first run's"
    mask = cv2.imread(str(tmp_path / "masks" / second / path.name), cv2.IMREAD_UNCHANGED)
    assert (mask > 0).sum() == frame_result(0).result.mask.sum()
    assert not (tmp_path / "masks" / empty).exists()


@pytest.mark.parametrize(
    "text",
    ["my notes\nof ten years\n", "a note without an end", "# {}\n", '{\n  "rate": 4\n}\n', "\n"],
)
def test_a_file_without_json_is_somebody_else_s(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"notes\.txt: expected lines of JSON, .* name another"):
        JsonLines(path, recorder())
    assert path.read_text() == text


@pytest.mark.parametrize("text", ['{"n":1}\nold\n', '{"n":1}\n{"n":2}\n', '{"n":1}'])
def test_whole_lines_stay(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    JsonLines(path, recorder()).close()
    lines = path.read_text().splitlines()
    assert lines[:-1] == text.splitlines()
    assert json.loads(lines[-1])["kind"] == "run"


@pytest.mark.parametrize("torn", [b"", b"\0" * 40, b'{"kind":"ru', b'{"kind":"run"' + b"\0" * 9])
@pytest.mark.parametrize("before", [b"", b'{"n":1}\n'])
def test_a_torn_end_is_cut_off(tmp_path: Path, before: bytes, torn: bytes) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(before + torn)
    JsonLines(path, recorder()).close()
    data = path.read_bytes()
    assert data.startswith(before)
    assert json.loads(data[len(before) :])["kind"] == "run"
