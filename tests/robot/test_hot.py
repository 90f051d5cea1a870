"""What `hot_c` is held against."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from scnet_edge.machine import nvml
from scnet_edge.robot.segmentation import hottest_c


def test_the_schedule_feels_the_card_that_the_live_page_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = SimpleNamespace(
        power_mw=lambda: 300_000.0,
        temperature_c=lambda: 141.0,  # hotter than any zone of this machine
        clocks_mhz=dict,
        load_percent=lambda: None,
        slowed_by=tuple,
    )
    monkeypatch.setattr(nvml, "first_card", lambda: card)
    assert hottest_c() == 141.0
