"""`review` by number, by undo, and as a page that ends at a signal."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hand_made import facts, observation, picture

from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    with Journal(folder, facts(), limits=SMALL) as journal:
        record(journal, observation(1), *picture(1))
    return folder


def test_a_verdict_and_its_undo(survey: Path, command_line: Callable[..., Any]) -> None:
    said = command_line("review", str(survey), "1", "--verdict", "rejected", "--by", "Ada")
    assert (said.returncode, said.stdout) == (0, "1: rejected\n")
    [now] = read_survey(survey).observations
    assert (now.review, now.reviewed_by) == ("rejected", "Ada")
    undone = command_line("review", str(survey), "--undo", "--by", "Ada")
    assert (undone.returncode, undone.stdout) == (0, "1: needs_review\n")
    again = command_line("review", str(survey), "--undo", "--by", "Ada")
    assert (again.returncode, again.stderr) == (
        1,
        f"scnet-edge: {survey}: nothing to undo for Ada\n",
    )


@pytest.mark.parametrize(
    "options", [(), ("1",), ("--verdict", "accepted"), ("1", "--verdict", "accepted", "--undo")]
)
def test_one_thing_at_a_time(
    survey: Path, command_line: Callable[..., Any], options: tuple[str, ...]
) -> None:
    said = command_line("review", str(survey), *options)
    assert said.returncode == 1
    assert said.stderr.startswith("scnet-edge: expected NUMBER with --verdict")
    assert said.stderr.count("\n") == 1


def test_the_page_ends_at_a_signal(survey: Path) -> None:
    command = [sys.executable, "-m", "scnet_edge", "review", str(survey), "--serve"]
    with subprocess.Popen(
        [*command, "--address", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    ) as page:
        assert page.stdout is not None
        url = page.stdout.readline().split()[-1]
        host, _, query = url.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=20)
        connection.request("GET", f"/{query}")
        assert connection.getresponse().status == 303  # a cookie for the token
        connection.close()
        page.send_signal(signal.SIGINT)
        assert page.wait(timeout=30) == 0
