"""The command line as a whole: quick to start, plain about mistakes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from hand_made import picture

import scnet_edge.cli

Run = Callable[..., subprocess.CompletedProcess[str]]

COMMANDS = [
    "archive",
    "bench",
    "build",
    "bundle",
    "calibrate",
    "calibrate-camera",
    "compare",
    "compile",
    "demo",
    "doctor",
    "evaluate",
    "explain",
    "export",
    "import",
    "inspect",
    "measure",
    "models",
    "recover",
    "report",
    "review",
    "run",
    "sensitivity",
    "service",
    "simulate",
    "soak",
    "statistics",
    "train",
    "verify",
]
HEAVY = ("torch", "onnx", "numpy", "cv2", "openvino", "onnxruntime", "scipy")
LOADED = f"print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"


def test_every_command_is_there() -> None:
    group = typer.main.get_command(scnet_edge.cli.app)
    assert sorted(getattr(group, "commands")) == COMMANDS  # noqa: B009


def test_help_imports_nothing_heavy(python: Run) -> None:
    code = f"""\
import contextlib, io, json, sys
from scnet_edge.cli import main
said = {{}}
for name in sys.argv[1:]:
    sys.argv[1:] = [*name.split(), "--help"]
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main()
    said[name] = text.getvalue()
print(json.dumps(said))
{LOADED}
"""
    done = python(code, ["", *COMMANDS])
    assert (done.returncode, done.stderr.strip()) == (0, "")
    said = json.loads(done.stdout)
    assert list(said) == ["", *COMMANDS]
    assert all(text.startswith(f"Usage: scnet-edge {name}".strip()) for name, text in said.items())


def test_the_package_alone_imports_nothing_heavy(python: Run) -> None:
    done = python(f"import sys, scnet_edge; {LOADED}", [])
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_the_pipeline_needs_no_torch(python: Run) -> None:
    code = "import sys; from scnet_edge import Pipeline; print({'torch', 'onnx'} & {*sys.modules})"
    done = python(code, [])
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["verify"], ["run", "--nonsense"]])
def test_a_wrong_call_is_told_from_a_gate_that_nothing_passes(
    arguments: list[str], command_line: Run
) -> None:
    done = command_line(*arguments)
    assert done.returncode == 64  # EX_USAGE; 2 says that nothing passes the gate
    assert done.stderr.startswith("scnet-edge")
    assert "--help" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_version_is_that_of_the_package(command_line: Run) -> None:
    assert command_line("--version").stdout == f"scnet-edge {scnet_edge.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "{tmp}/none"],
        ["verify", "{tmp}"],
        ["run", "{tmp}", "--source", "{tmp}/none.mp4", "--out", "{tmp}/out"],
        ["build", "--int8", "--model", "nonsense", "--out", "{tmp}/out"],
        ["build", "--int8", "--size", "big", "--out", "{tmp}/out"],
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], command_line: Run, tmp_path: Path) -> None:
    done = command_line(*(a.format(tmp=tmp_path) for a in arguments))
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("scnet-edge: ")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "scnet-tiny", "--data", "folder:{tmp}", "--plots", "{tmp}/file"],
        ["evaluate", "scnet-tiny", "--data", "folder:{tmp}", "--plots", "{tmp}/file/plots"],
        ["statistics", "--data", "folder:{tmp}", "--json", "{tmp}/none/x.json"],
        ["explain", "scnet-tiny", "samples/pipe.png", "--out", "{tmp}/file"],
        ["bench", "report", "{tmp}/file", "--html", "{tmp}/none/x.html"],
        ["bench", "report", "{tmp}/file", "--html", "{tmp}/x", "--markdown", "{tmp}/none/x.md"],
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    arguments: list[str], command_line: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = command_line(*(a.format(tmp=tmp_path) for a in arguments))
    assert done.returncode == 1
    assert re.fullmatch(r"scnet-edge: .+: expected a (file|folder) to write.+\n", done.stderr)


def test_explain_draws_every_scale_gate_and_grad_cam(command_line: Run, tmp_path: Path) -> None:
    frame, crack = picture(size_hw=(90, 130))
    cv2.imwrite(str(tmp_path / "wall.png"), frame)
    out = tmp_path / "maps"
    done = command_line("explain", "scnet-tiny", str(tmp_path / "wall.png"), "--out", str(out))
    assert done.returncode == 0, done.stderr
    levels = range(1, 5)  # of scnet-tiny
    blocks = [f"{part}-{level}" for part in ("encoder", "decoder") for level in levels]
    maps = {"frame", "fused", *(f"scale-{level}" for level in levels)}
    maps |= {f"{kind}-{block}" for kind in ("attention", "cam") for block in blocks}
    sheets = {"scales": 6, "attention": 9, "grad-cam": 10}  # pictures in rows of three, titled
    sizes = dict.fromkeys(maps, (90, 130, 3))
    sizes |= {f"sheet-{name}": (-(-n // 3) * (90 + 26), 390, 3) for name, n in sheets.items()}
    drawn = {path.stem: cv2.imread(str(path)) for path in out.iterdir()}
    assert {name: image.shape for name, image in drawn.items()} == sizes
    assert all(image.std() > 1 for image in drawn.values())
    for name in (f"{kind}-decoder-{level}" for kind in ("attention", "cam") for level in levels):
        heat = drawn[name] - 0.45 * frame  # without the frame under it
        assert heat.std((0, 1)).max() > 5, name  # an encoder's gate may be the same everywhere
    assert np.array_equal(drawn["frame"], frame)
    assert drawn["fused"][crack].mean() > 100 + drawn["fused"][~crack].mean()
    assert f"{len(sizes)} pictures" in done.stdout


def test_statistics_counts_a_folder(
    command_line: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, cracked = [(300, 400), (300, 400), (280, 290)], [True, False, True]
    crack_px = 0
    for i, (size_hw, shows) in enumerate(zip(sizes, cracked, strict=True)):
        frame, mask = picture(i, size_hw)
        crack_px += int((mask & shows).sum())
        for kind, image in (("images", frame), ("masks", (mask & shows).astype(np.uint8) * 255)):
            (tmp_path / "walls" / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "walls" / kind / f"{i}.png"), image)
    monkeypatch.setenv("COLUMNS", "250")
    out, spec = tmp_path / "counts.json", f"folder:{tmp_path / 'walls'}"
    done = command_line("statistics", "--data", spec, "--json", str(out))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(out.read_text()).values()
    percent = 100 * crack_px / sum(h * w for h, w in sizes)
    assert (row["images"], row["cracked"]) == (3, 2)
    assert row["sizes"] == {"300x400": 2, "280x290": 1}
    assert row["crack_percent"] == pytest.approx(percent)
    assert row["background_percent"] == pytest.approx(100 - percent)
    assert percent < row["crop_crack_percent"] < 10  # of the crops that show a crack
    cells = [spec, "3", "2", f"{percent:.2f}", f"{100 - percent:.2f}"]
    assert re.search(r"\s*│\s*".join(map(re.escape, cells)), done.stdout)


def test_the_installed_script_is_the_same_command_line() -> None:
    script = Path(sys.executable).parent / "scnet-edge"
    if not script.exists():
        pytest.skip("scnet-edge is not installed in this environment")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


def test_a_full_disk_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scnet_edge.cli, "app", lambda **_: Path("/dev/full").write_text("x"))
    with pytest.raises(SystemExit) as stop:
        scnet_edge.cli.main()
    assert stop.value.code == 1
    printed = capsys.readouterr().err
    assert "No space left" in printed
    assert printed.count("\n") == 1


def test_another_failure_of_the_system_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scnet_edge.cli, "app", lambda **_: Path("/nowhere/at/all").read_text())
    with pytest.raises(FileNotFoundError):
        scnet_edge.cli.main()
