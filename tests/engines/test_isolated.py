"""An engine in a child process: the same answers, and a crash that costs one frame."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from scnet_edge.engines.base import Backend
from scnet_edge.engines.fake import FakeBackend
from scnet_edge.engines.isolated.parent import MAX_RESTARTS, IsolatedBackend
from scnet_edge.engines.isolated.worker import Opening
from scnet_edge.errors import EngineCrash, EngineError, EngineGone

HERE = str(Path(__file__).parent)
WHITE = np.full((1, 32, 48, 3), 255, np.uint8)
BLACK = np.zeros((1, 32, 48, 3), np.uint8)


def opening(function: str, **arguments: object) -> Opening:
    return Opening(factory=f"crashing:{function}", arguments=arguments)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)  # the child takes our import path over


@pytest.fixture
def crashing() -> Iterator[IsolatedBackend]:
    with closing(IsolatedBackend([opening("crash_on_black")])) as backend:
        yield backend


def open_fds() -> set[str]:
    return {fd.name for fd in Path("/proc/self/fd").iterdir()}


def test_it_answers_as_the_engine_itself_does() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 1, 32, 48, 3), np.uint8)
    direct = FakeBackend((32, 48))
    backend: Backend = IsolatedBackend([opening("sound")])
    with closing(backend):
        assert backend.name == "fake"
        answers = [backend.run({"frame": frame}) for frame in frames]
        for frame, answer in zip(frames, answers, strict=True):  # all still ours to read
            for name, expected in direct.run({"frame": frame}).items():
                np.testing.assert_array_equal(answer[name], expected)
        with pytest.raises(EngineError, match="expected"):
            backend.run({"frame": frames[0, :, 1:]})
        assert backend.run({"frame": WHITE})["probability"].max() == 0
    with pytest.raises(EngineError, match="closed"):
        backend.run({"frame": WHITE})


def test_a_crash_costs_one_frame(crashing: IsolatedBackend) -> None:
    first = crashing.pid
    with pytest.raises(EngineCrash, match="SIGABRT"):
        crashing.run({"frame": BLACK})
    assert crashing.pid is None
    assert crashing.run({"frame": WHITE})["probability"].max() == 0
    assert crashing.pid != first
    assert crashing.crashes == 1


def test_a_hang_is_killed() -> None:
    with closing(IsolatedBackend([opening("hang_on_black")], run_timeout_s=0.3)) as backend:
        backend.run({"frame": WHITE})
        with pytest.raises(EngineCrash, match=r"no answer within 0\.3 s"):
            backend.run({"frame": BLACK})
        backend.run({"frame": WHITE})


def test_too_many_crashes_within_a_minute_are_the_end() -> None:
    now_s = [0.0]
    crashing = opening("crash_on_black")
    backend = IsolatedBackend([crashing], max_restarts=1, clock=lambda: now_s[0])
    with closing(backend):
        for _ in range(3):  # 70 s apart: never more than one within a minute
            now_s[0] += 70
            with pytest.raises(EngineCrash):
                backend.run({"frame": BLACK})
            backend.run({"frame": WHITE})
        now_s[0] += 50
        with pytest.raises(EngineCrash):
            backend.run({"frame": BLACK})
        with pytest.raises(EngineGone, match="2 times within 60 s"):
            backend.run({"frame": WHITE})


def test_a_crash_of_every_frame_is_the_end_however_slow() -> None:
    now_s = [0.0]
    backend = IsolatedBackend([opening("crash_on_black")], max_restarts=1, clock=lambda: now_s[0])
    with closing(backend):
        for _ in range(2):
            now_s[0] += 100
            with pytest.raises(EngineCrash):
                backend.run({"frame": BLACK})
        now_s[0] += 100
        with pytest.raises(EngineGone, match="2 times within 60 s, or in a row"):
            backend.run({"frame": WHITE})


def test_the_next_engine_takes_over(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    openings = [opening("crash_while_loading", starts=str(starts)), opening("sound")]
    with caplog.at_level(logging.ERROR), closing(IsolatedBackend(openings)) as backend:
        assert backend.name == "fake"
        assert backend.run({"frame": WHITE})["probability"].max() == 0
    assert starts.stat().st_size == 1 + MAX_RESTARTS
    assert "falling back to crashing:sound" in caplog.text


def test_a_refused_graph_is_not_tried_again() -> None:
    with pytest.raises(EngineError, match="expected one of") as caught:
        IsolatedBackend([Opening(engine="caffe", graph="graph.onnx")])
    assert not isinstance(caught.value, EngineCrash)


def test_no_memory_to_open_it_is_one_line_and_no_crash() -> None:
    with pytest.raises(EngineError, match="no memory is left for the engine"):
        IsolatedBackend([opening("starved")])


def test_a_graph_that_the_engine_cannot_parse_is_no_crash() -> None:
    with pytest.raises(EngineError, match="node 7 cannot be parsed") as caught:
        IsolatedBackend([opening("refuse_the_graph")])
    assert not isinstance(caught.value, EngineCrash)
    with closing(IsolatedBackend([opening("refuse_black")])) as backend:
        with pytest.raises(EngineError, match="node 7 cannot run"):
            backend.run({"frame": BLACK})
        assert backend.crashes == 0


def shared_blocks() -> set[Path]:
    """Return the blocks of shared memory; semaphores are of trainings in other tests."""
    return {path for path in Path("/dev/shm").iterdir() if not path.name.startswith("sem.")}


def test_nothing_leaks_over_crashes(crashing: IsolatedBackend) -> None:
    crashing.run({"frame": WHITE})
    before, blocks = open_fds(), shared_blocks()
    for _ in range(3):
        with pytest.raises(EngineCrash):
            crashing.run({"frame": BLACK})
        crashing.run({"frame": WHITE})
    assert len(open_fds()) == len(before)
    assert shared_blocks() == blocks


def test_the_child_does_not_outlive_a_killed_parent() -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from scnet_edge.engines.isolated.parent import IsolatedBackend\n"
        "from scnet_edge.engines.isolated.worker import Opening\n"
        "backend = IsolatedBackend([Opening(factory='crashing:sound')])\n"
        "print(backend.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, HERE], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
    deadline_s = time.monotonic() + 10
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
