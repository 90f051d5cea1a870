"""The live page of a run that a test feeds by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from live_server import Run, serving

from scnet_edge.web.server import Served


@pytest.fixture
def run() -> Run:
    return Run()


@pytest.fixture
def live(run: Run) -> Iterator[Served]:
    with serving(run) as live:
        yield live
