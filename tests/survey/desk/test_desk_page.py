"""The review page in a real browser: keys, an outline by mouse, and what the disk then has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browsing, needs_browser
from hand_made import HOSTILE, facts, observation, picture

from scnet_edge.inspection.records import Observation
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.desk.app import open_desk
from scnet_edge.survey.evidence import read_crack_mask
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record
from scnet_edge.survey.space import DiskLimits

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
SAVED = "document.getElementById('saved').className === 'pill saved'"


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    with Journal(folder, facts(), limits=SMALL) as journal:
        for seq, confidence in enumerate((0.98, 0.72, 0.55), 1):
            one = observation(seq, confidence=confidence, remarks=HOSTILE)
            record(journal, one, *picture(seq))
    return folder


@pytest.fixture
def browser(survey: Path, tmp_path: Path) -> Iterator[Browser]:
    token = tmp_path / "token"
    with (
        open_desk(survey, "127.0.0.1:0", read_codes(), by="ada", token_file=token) as served,
        browsing(tmp_path / "profile") as browser,
    ):
        browser.call("Page.navigate", url=served.url)
        browser.wait_for("Number(document.getElementById('canvas')?.dataset.seq) === 2")
        yield browser
        assert browser.complaints == []  # of our own content security policy, or an exception


def press(browser: Browser, key: str) -> None:
    text = key if len(key) == 1 else ""
    browser.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
    browser.call("Input.dispatchKeyEvent", type="keyUp", key=key)


def shows(browser: Browser, seq: int) -> None:
    browser.wait_for(f"document.getElementById('number').textContent === 'No. {seq}'")


def saved(browser: Browser) -> None:
    browser.wait_for(SAVED)


def records(survey: Path) -> tuple[Observation, ...]:
    return read_survey(survey).observations


@needs_browser
def test_one_key_a_record_and_undo(browser: Browser, survey: Path) -> None:
    assert browser.value("document.getElementById('remarks').value") == HOSTILE  # shown, not run
    press(browser, "a")
    shows(browser, 3)
    press(browser, "r")
    shows(browser, 1)
    saved(browser)
    assert [o.review for o in records(survey)] == ["needs_review", "accepted", "rejected"]
    assert {o.reviewed_by for o in records(survey)} == {"", "ada"}
    press(browser, "u")
    shows(browser, 3)
    saved(browser)
    assert records(survey)[2].review == "needs_review"
    press(browser, "r")
    shows(browser, 1)
    press(browser, "a")
    browser.wait_for("document.getElementById('veil').textContent.startsWith('All of these')")
    saved(browser)
    assert [o.review for o in records(survey)] == ["accepted", "accepted", "rejected"]


@needs_browser
def test_code_and_clock_by_keys(browser: Browser, survey: Path) -> None:
    press(browser, "k")
    for key in "11:30":
        press(browser, key)
    press(browser, "Enter")
    browser.wait_for("document.getElementById('facts').innerText.includes('11:30')")
    saved(browser)
    choose = "e => { e.value = 'spiral open'; e.dispatchEvent(new Event('change')); }"
    browser.value(f"({choose})(document.getElementById('code'))")
    browser.wait_for("document.getElementById('facts').innerText.includes('FS / BAB C D')")
    saved(browser)
    now = records(survey)[1]
    assert (now.clock_from, now.clock_to) == (11.5, 2.5)
    assert (now.kind, now.opening, now.review) == ("spiral", "open", "accepted")


def screen(browser: Browser, x: float, y: float) -> tuple[float, float]:
    """Return where a pixel of the picture, 160 wide and 120 high, is in the window."""
    left, top, width, height = (
        float(browser.value(f"document.getElementById('canvas').getBoundingClientRect().{side}"))
        for side in ("left", "top", "width", "height")
    )
    scale = min(width / 160, height / 120)
    return (
        left + width / 2 + (x + 0.5 - 80) * scale,
        top + height / 2 + (y + 0.5 - 60) * scale,
    )


def mouse(browser: Browser, kind: str, x: float, y: float) -> None:
    at_x, at_y = screen(browser, x, y)
    browser.call("Input.dispatchMouseEvent", type=kind, x=at_x, y=at_y, button="left", clickCount=1)


@needs_browser
def test_an_outline_drawn_with_the_mouse_is_the_mask(browser: Browser, survey: Path) -> None:
    before = read_crack_mask(survey, records(survey)[1])
    assert before is not None
    press(browser, "e")
    press(browser, "n")
    for corner in ((100, 5), (130, 5), (130, 15), (100, 15)):
        mouse(browser, "mousePressed", *corner)
        mouse(browser, "mouseReleased", *corner)
    press(browser, "Enter")  # closes it
    mouse(browser, "mousePressed", 130, 15)  # and its corner is dragged
    mouse(browser, "mouseMoved", 135, 18)
    mouse(browser, "mouseMoved", 140, 20)
    mouse(browser, "mouseReleased", 140, 20)
    press(browser, "Enter")
    browser.wait_for("document.getElementById('edit-tools').hidden")
    saved(browser)
    now = records(survey)[1]
    mask = read_crack_mask(survey, now)
    assert (now.review, now.flags) == ("accepted", ("mask_corrected",))
    added = mask & ~before
    assert not (before & ~mask).any()
    assert added[10, 115]
    assert added[17, 136]
    assert not added[13, 137]
    rows, columns = np.nonzero(added)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 20, 100, 140)
    press(browser, "u")
    saved(browser)
    assert np.array_equal(read_crack_mask(survey, records(survey)[1]), before)
