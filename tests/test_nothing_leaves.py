"""No command asks a name server, sends a packet, or writes outside what it was asked to write.

The kernel's calls are watched, not ours: a dependency that begins to call home is seen as well.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
MAIN = "from scnet_edge.cli import main; main()"
SERVED = """
import os, signal, socket, threading, time

def end() -> None:
    while True:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", {port})) == 0:
                s.sendall(b"GET /survey.json HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
                assert s.recv(100).startswith(b"HTTP/1.1 401 ")
                break
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=end).start()
"""
CALLS = "bind,connect,sendto,sendmsg,sendmmsg,open,openat,openat2,creat,mkdir,mkdirat"
INTERNET = re.compile(r"sa_family=AF_INET6?,")
LOOPBACK = re.compile(r'inet_addr\("127\.|inet_pton\(AF_INET6, "(::1|::ffff:127\.)')
NAME_SERVICE = re.compile(r"AF_UNIX, sun_path=\"[^\"]*(nscd|resolve|avahi)")
WRITTEN = re.compile(
    r'(?:creat|mkdir|mkdirat|open\w*)\((?:AT_FDCWD(?:<[^>]*>)?, )?"(?P<path>[^"]+)"(?P<how>[^)]*)'
)
WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")
NO_PLACE = re.compile(r"^/(dev|proc|sys)/")

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="apt-get install strace")


def watched(code: str, arguments: list[str], folder: Path) -> list[str]:
    """Run Python in `folder`, its home beside it, and return the calls that go too far."""
    home, temporary, log = folder / "home", folder / "temporary", folder / "calls"
    for path in (home, temporary):
        path.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("XDG_")}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"PYTHONPATH": str(ROOT), "USER": "somebody"}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    command = ["strace", "-f", "--seccomp-bpf", "-qq", "-s", "256", "-e", f"trace={CALLS}"]
    command += ["-o", str(log), sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = log.read_text(errors="replace").splitlines()
    found = [line for line in lines if _goes_too_far(line, folder)]
    return [*found, *(f"left in the home folder: {path}" for path in home.iterdir())]


def _goes_too_far(line: str, folder: Path) -> bool:
    if INTERNET.search(line) and not LOOPBACK.search(line):
        return True
    if NAME_SERVICE.search(line):
        return True
    match = WRITTEN.search(line)
    if match is None or " = -1 " in line:
        return False
    made = "mkdir" in line or "creat(" in line or WRITING.search(match["how"])
    path = os.path.normpath(folder / match["path"])
    return bool(made) and not NO_PLACE.match(path) and not path.startswith(str(folder.parent))


@pytest.fixture
def bundle(darkness_bundle: Callable[[tuple[int, int]], Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(darkness_bundle((64, 96)), tmp_path / "bundle"))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("isolate", ["--isolate", "--no-isolate"])
def test_a_run_keeps_to_itself(bundle: Path, tmp_path: Path, engine: str, isolate: str) -> None:
    source = "sim://pipe?size=96x128&frames=3&fps=100"
    folder = tmp_path / "here"
    folder.mkdir()
    arguments = ["run", str(bundle), "--source", source, "--engine", engine, isolate]
    arguments += ["--out", "out", "--sink", "jsonl:run.jsonl"]
    assert watched(MAIN, arguments, folder) == []
    assert {path.name for path in folder.iterdir()} == {
        *("calls", "home", "temporary", "out", "run.jsonl")
    }


def test_looking_at_the_machine_and_building_keep_to_themselves(tmp_path: Path) -> None:
    (tmp_path / "doctor").mkdir()
    assert watched(MAIN, ["doctor", "--json"], tmp_path / "doctor") == []
    (tmp_path / "build").mkdir()
    arguments = ["build", "--fp32", "--model", "scnet-tiny", "--size", "64x96", "--out", "b"]
    assert watched(MAIN, arguments, tmp_path / "build") == []
    (tmp_path / "verify").mkdir()
    arguments = ["verify", str(tmp_path / "build" / "b"), "--engine", "onnxruntime"]
    assert watched(MAIN, arguments, tmp_path / "verify") == []
    (tmp_path / "compile").mkdir()
    arguments = ["compile", str(tmp_path / "build" / "b"), "--engine", "openvino"]
    found = watched(MAIN, arguments, tmp_path / "compile")
    key = f"{tmp_path / 'compile' / 'home' / '.local'}"  # of the code that this user compiled
    assert found == [f"left in the home folder: {key}"]


def all_watched(commands: list[list[str]], folder: Path) -> None:
    """Run commands one after the other, each in a folder of its own, and let none go too far."""
    for number, arguments in enumerate(commands):
        here = folder / f"{number}-{arguments[0]}"
        here.mkdir()
        assert watched(MAIN, arguments, here) == [], arguments


def test_surveys_keep_to_themselves(bundle: Path, tmp_path: Path) -> None:
    film, survey = tmp_path / "film", str(tmp_path / "survey")
    simulate = ["simulate", "pipe", "--metres", "0.8", "--size", "96x128", "--cracks", "2"]
    inspect = ["inspect", str(bundle), "--source", str(film / "footage.mp4")]
    inspect += ["--pipe", str(film / "pipe.toml"), "--out", survey, "--live", "127.0.0.1:0"]
    all_watched([[*simulate, "--out", str(film)], inspect], tmp_path)
    export = ["export", survey, "--format", "coco", "--out"]
    masks = str(tmp_path / "export" / "coco.json")
    all_watched(
        [
            ["report", survey],
            [*export, str(tmp_path / "export")],
            ["import", "annotations", survey, masks],
            ["measure", str(next((film / "masks").iterdir()))],
            ["models"],
        ],
        tmp_path,
    )

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "review").mkdir()
    review = ["review", survey, "--serve", "--address", f"127.0.0.1:{port}"]
    found = watched(SERVED.format(port=port) + MAIN, review, tmp_path / "review")
    token = f"{tmp_path / 'review' / 'home' / '.local'}"  # of the page, which is kept
    assert found == [f"left in the home folder: {token}"]


def test_archives_keep_to_themselves(bundle: Path, tmp_path: Path) -> None:
    films, results = tmp_path / "films", str(tmp_path / "results")
    films.mkdir()
    shutil.copy(ROOT / "samples" / "pipe.mp4", films / "a.mp4")
    manifest = str(tmp_path / "archive.parquet")
    run = ["archive", "run", manifest, "--bundle", str(bundle), "--out", results]
    all_watched(
        [["archive", "scan", str(films), "--out", manifest], run, ["archive", "report", results]],
        tmp_path,
    )


def test_training_and_scoring_keep_to_themselves(bundle: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    for i in range(12):
        noise = rng.integers(0, 255, (96, 128, 3), np.uint8)
        image = cv2.GaussianBlur(noise, (0, 0), 3)
        mask = np.zeros((96, 128), np.uint8)
        mask[10 * (i % 8) : 10 * (i % 8) + 4] = 255
        cv2.imwrite(str(tmp_path / "data" / "images" / f"{i}.png"), image)
        cv2.imwrite(str(tmp_path / "data" / "masks" / f"{i}.png"), mask)
    data, corpus = f"folder:{tmp_path / 'data'}", tmp_path / "corpus.toml"
    own_set = f'name = "noise"\ndata = "{data}"\nshare = 1\nlicence = "ours"\n'
    corpus.write_text(f'licence = "ours"\n[[set]]\n{own_set}')
    calibrate = ["calibrate", "--data", str(tmp_path / "data" / "images"), "--frames", "8"]
    calibrate += ["--model", "scnet-tiny", "--size", "64x96", "--method", "minmax"]
    train = ["train", "tiny", "--corpus", str(corpus), "--steps", "1", "--batch", "1"]
    all_watched(
        [
            [*calibrate, "--out", str(tmp_path / "own.toml")],
            ["evaluate", str(bundle), "--data", data, "--split", "all"],
            [*train, "--validate-every", "1", "--out", str(tmp_path / "training")],
        ],
        tmp_path,
    )


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("import socket as s; s.socket().bind(('0.0.0.0', 0))", 'inet_addr("0.0.0.0")'),
        ("import socket as s; s.socket(2, 2).connect(('192.0.2.1', 9))", 'inet_addr("192.0.2.1")'),
        ("from pathlib import Path; Path.home().joinpath('x').touch()", "home folder"),
        ("import openvino", "home folder"),
    ],
)
def test_what_goes_out_is_seen(tmp_path: Path, code: str, seen: str) -> None:
    """The watch itself is tried: what calls home without us is found to do so."""
    assert any(seen in line for line in watched(code, [], tmp_path))
