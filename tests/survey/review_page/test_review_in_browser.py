"""The review page in a real browser: keys, an outline by mouse, and what the disk then has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browsing, needs_browser
from films import walls, write_film
from hand_made import HOSTILE, facts, observation, picture

from scnet_edge.inspection.records import Observation
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.evidence import read_crack_mask
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal, lock_survey
from scnet_edge.survey.recorder import record
from scnet_edge.survey.review_page.app import serve_review
from scnet_edge.survey.review_page.film import open_film_file

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
SAVED = "document.getElementById('saved').className === 'pill saved'"


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    with Journal(folder, facts(), limits=SMALL) as journal:
        for seq, confidence in enumerate((0.98, 0.62, 0.45), 1):
            one = observation(seq, confidence=confidence, remarks=HOSTILE)
            record(journal, one, *picture(seq))
    return folder


@pytest.fixture
def browser(survey: Path, tmp_path: Path) -> Iterator[Browser]:
    token = tmp_path / "token"
    with (
        serve_review(survey, "127.0.0.1:0", read_codes(), by="ada", token_file=token) as served,
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
    shown = browser.value("document.getElementById('facts').innerText")
    assert "Width" in shown
    assert "Clock" not in shown  # a field has it
    assert browser.value("document.getElementById('clock-from').value") != ""
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
    browser.wait_for("document.getElementById('state').textContent === 'accepted'")
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


def by_mouse(browser: Browser, *way: tuple[float, float]) -> None:
    """Press at the first place of a way in the picture, and let go at the last."""
    for kind, place in (("mousePressed", way[0]), *(("mouseMoved", p) for p in way[1:])):
        point(browser, kind, place)
    point(browser, "mouseReleased", way[-1])


def point(browser: Browser, kind: str, place: tuple[float, float]) -> None:
    x, y = screen(browser, *place)
    browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def by_finger(browser: Browser, *way: tuple[float, float]) -> None:
    for kind, place in (("touchStart", way[0]), *(("touchMove", p) for p in way[1:])):
        x, y = screen(browser, *place)
        browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
    browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


@needs_browser
@pytest.mark.parametrize("draw", [by_mouse, by_finger])
def test_an_outline_that_is_drawn_by_hand_is_the_mask(
    browser: Browser, survey: Path, draw: Callable[..., None]
) -> None:
    before = read_crack_mask(survey, records(survey)[1])
    assert before is not None
    press(browser, "e")
    press(browser, "n")
    for corner in ((100, 5), (130, 5), (130, 15), (100, 15)):
        draw(browser, corner)
    press(browser, "Enter")  # closes it
    draw(browser, (130, 15), (135, 18), (140, 20))  # and a corner is dragged
    press(browser, "Enter")
    browser.wait_for("document.getElementById('edit-tools').hidden")
    saved(browser)
    now = records(survey)[1]
    mask = read_crack_mask(survey, now)
    assert mask is not None
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


@needs_browser
def test_what_is_not_saved_is_said_and_tried_again(browser: Browser, survey: Path) -> None:
    with lock_survey(survey):
        press(browser, "a")
        browser.wait_for("!document.getElementById('trouble').hidden")
        text = browser.value("document.getElementById('trouble').innerText")
        assert text.startswith("No. 2 was not saved:")
        assert "another process is writing this survey" in text
        assert browser.value("document.getElementById('saved').textContent") == "not saved"
        listed = (
            "[...document.querySelectorAll('#records .name')].map(e => e.textContent[0]).join()"
        )
        assert browser.value(listed) == "2,3,1"  # it is to be reviewed again
    assert {o.review for o in records(survey)} == {"needs_review"}
    browser.value("document.getElementById('again').click()")
    saved(browser)
    assert records(survey)[1].review == "accepted"
    assert browser.value("document.getElementById('trouble').hidden")
    browser.complaints.clear()  # the browser notes the answer 409


@needs_browser
def test_a_film_that_no_browser_plays_is_shown_picture_by_picture(
    survey: Path, tmp_path: Path
) -> None:
    path = write_film(tmp_path / "film.mpg", walls(60), "mpeg2video", fps=25)
    film = open_film_file(path)
    token = tmp_path / "token"
    with (
        serve_review(
            survey, "127.0.0.1:0", read_codes(), by="a", film=film, token_file=token
        ) as served,
        browsing(tmp_path / "profile") as browser,
    ):
        browser.call("Page.navigate", url=served.url)
        browser.wait_for("Number(document.getElementById('canvas')?.dataset.seq) === 2")
        press(browser, "f")
        browser.wait_for("document.getElementById('still').naturalWidth === 128")
        assert browser.value("document.getElementById('film-time').textContent") == "0:00.96"
        press(browser, ".")
        browser.wait_for("document.getElementById('still').src.endsWith('t=1.000')")
        assert browser.value("document.getElementById('video').hidden")
        assert browser.complaints == []
