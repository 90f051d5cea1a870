import base64
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from hand_made import HOSTILE, facts, gap, observation, picture, unscaled

from scnet_edge.errors import InputError
from scnet_edge.inspection.records import Figure, Gap
from scnet_edge.survey.codes import find_limit, read_codes, suggest
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.facts import Alarm, BundleIdentity, Progress, SeenPicture, Site
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record
from scnet_edge.survey.report.page import render_report
from scnet_edge.survey.report.pdf import BROWSERS, print_pdf
from scnet_edge.survey.report.pictures import pictures_of
from scnet_edge.types import Photograph

CODES = read_codes()
SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)


class Page(HTMLParser):
    """The tags of a page, the text of each, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and data.strip():
            self.texts.append((self.tags[-1][0], data.strip()))

    def text(self) -> str:
        return " ".join(text for tag, text in self.texts if tag not in ("style", "script"))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def rendered(survey: Survey, limit: str = "concrete-0.3") -> str:
    return render_report(survey, CODES, limit, find_limit(CODES, limit))


@pytest.fixture
def hostile(tmp_path: Path) -> Survey:
    """Return a survey in which every text tries to break out of the page."""
    bundle = BundleIdentity(
        model=HOSTILE, precision=HOSTILE, threshold=0.5, seed=0.61, sha256="a" * 64
    )
    site = Site(**dict.fromkeys(("pipe_id", "client", "operator", "place", "material"), HOSTILE))
    texts = dict.fromkeys(("source", "engine", "machine", "version", "odometry"), HOSTILE)
    with Journal(tmp_path, facts(bundle=bundle, site=site, **texts), limits=SMALL) as journal:
        record(journal, observation(1, remarks=HOSTILE, flags=(HOSTILE,)), *picture(1))
        record(journal, observation(2, width_p95_mm=Figure(0.2, 0.01)), None, None)
        journal.alarm(HOSTILE, HOSTILE)
        done = Progress(
            frame_id=99, resume_frame_id=100, frames=100, chainage_m=8.25, finished=True
        )
        journal.commit(gaps=[gap(reason=HOSTILE)], progress=done)
    return read_survey(tmp_path)


def test_nothing_breaks_out_and_nothing_is_asked_for(hostile: Survey) -> None:
    text = rendered(hostile)
    page = Page(text)
    assert len(page.all("script")) == 1
    assert "alert(1)" in page.text()  # shown, as text
    assert HOSTILE not in text
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:image/jpeg;base64,", "#"))
    assert "://" not in text
    assert not re.search(r"@import|url\((?!#)", text)


def test_a_crack_all_around_is_no_point_at_twelve(tmp_path: Path) -> None:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        record(journal, observation(1, clock_from=0.0, clock_to=11.99), *picture(1))
    page = Page(rendered(read_survey(tmp_path)))
    assert "all around" in [text for tag, text in page.texts if tag == "td"]
    [title] = [text for tag, text in page.texts if tag == "h2" and text.startswith("No. 1")]
    assert title.endswith(", all around")


def test_a_crack_too_thin_to_measure_has_no_plot_of_its_width(tmp_path: Path) -> None:
    thin = dict.fromkeys(("width_mean_mm", "width_p95_mm", "width_max_mm"))
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        record(journal, observation(1, **thin), *picture(1))
        journal.commit(progress=Progress(frame_id=9, resume_frame_id=10, frames=10, finished=True))
    said = Page(rendered(read_survey(tmp_path))).text()
    assert "under 3 px, so no millimetres" in said
    assert "Width along the crack" not in said


def test_only_the_pages_own_script_may_run(hostile: Survey) -> None:
    text = rendered(hostile)
    [policy] = [m["content"] for m in Page(text).all("meta") if "http-equiv" in m]
    assert policy
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_page_says_what_the_records_say(hostile: Survey) -> None:
    page = Page(rendered(hostile))
    text = page.text()
    assert "8.25 m inspected, of these 1.50 m not seen" in text
    assert "1.00 ± 0.08 mm" in text
    assert [a["id"] for a in page.all("section") if "id" in a] == ["d1", "d2"]
    assert "There is no picture of this crack." in text
    assert {a["href"] for a in page.all("a")} == {"#d1", "#d2"}
    assert "2200" in text  # two of PACP grade 2
    assert "above 0.3 mm" in text
    assert "within 0.3 mm" in text
    assert "Width along the crack, mm" in text
    assert "threshold 0.5, seed 0.61" in text
    assert "certified by nobody" in text
    assert "8:15" not in text


def test_the_pictures_show_the_crack(hostile: Survey) -> None:
    frame, mask = picture(1)
    sources = [str(a["src"]) for a in Page(rendered(hostile)).all("img")]
    assert len(sources) == 3
    data = [np.frombuffer(base64.b64decode(s.split(",")[1]), np.uint8) for s in sources]
    close, marked, context = [cv2.imdecode(d, cv2.IMREAD_COLOR) for d in data]
    assert context.shape[1] / context.shape[0] == pytest.approx(
        frame.shape[1] / frame.shape[0], 0.02
    )
    assert close.shape == marked.shape
    redder = marked[..., 2].astype(int) - close[..., 2] > 60
    factor = close.shape[0] * close.shape[1] / frame[..., 0].size  # the crack spans the frame
    assert redder.sum() == pytest.approx(mask.sum() * factor, rel=0.35)


def test_a_wall_without_scale_or_odometer(tmp_path: Path) -> None:
    with Journal(tmp_path, facts(mode="wall", site=Site(), geometry={}), limits=SMALL) as journal:
        record(journal, unscaled(1), *picture(1))
        record(journal, unscaled(2, kind="spiral"), *picture(2))
    page = Page(rendered(read_survey(tmp_path)))
    text = page.text()
    assert "When they were in view" in text
    assert "Crack along the wall" in text
    assert "no width in mm" in text
    assert "Not finished." in text
    for word in ("PACP CL", "Chainage, m", "o'clock"):
        assert word not in text
    assert len([a for a in page.all("rect") if "bar" in str(a.get("class"))]) == 2


def test_a_survey_without_a_crack(tmp_path: Path) -> None:
    with Journal(tmp_path, facts(), limits=SMALL):
        pass
    text = Page(rendered(read_survey(tmp_path))).text()
    assert "No crack was found" in text
    assert "0000" in text


def test_nothing_is_said_of_what_was_not_seen(tmp_path: Path) -> None:
    gap = Gap(
        reason="black",
        segment=0,
        first_frame_id=0,
        last_frame_id=99,
        start_m=0.0,
        end_m=2.0,
        mono_from_ns=0,
        mono_to_ns=10**10,
    )
    for frames, said in ((0, "Nothing was inspected"), (5, "No crack was found in what was seen")):
        folder = tmp_path / str(frames)
        with Journal(folder, facts(), limits=SMALL) as journal:
            progress = Progress(
                frame_id=99, resume_frame_id=100, frames=frames, chainage_m=3.0, finished=True
            )
            journal.commit(gaps=[gap], progress=progress)
        text = Page(rendered(read_survey(folder))).text()
        assert said in text
        assert "of these 2.00 m not seen" in text
        assert "the picture was black" in text


def test_every_figure_of_the_page_follows_from_the_records(tmp_path: Path) -> None:
    """The records are counted here once more, by hand."""
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        record(journal, observation(1, end_m=1.4, sightings=15), *picture(1))
        record(journal, observation(2, width_p95_mm=Figure(0.2, 0.01), end_m=2.6), *picture(2))
        worst = {"width_p95_mm": Figure(9.0, 0.1), "end_m": 50.0, "kind": "multiple"}
        record(journal, observation(3, review="rejected", **worst), *picture(3))
        done = Progress(frame_id=171, resume_frame_id=172, frames=172, chainage_m=2.5)
        beyond = gap(start_m=6.0, end_m=7.5)  # of what was surveyed
        journal.commit(gaps=[gap(start_m=1.0, end_m=1.25), beyond], progress=done)
    survey = read_survey(tmp_path)
    kept = [o for o in survey.observations if o.review != "rejected"]
    page = Page(rendered(survey))
    text = page.text()
    length_m = max(2.5, *(o.end_m for o in kept if o.end_m))
    widest = max(o.width_p95_mm.value for o in kept if o.width_p95_mm)
    assert "2 cracks recorded; 1 rejected by a reviewer" in text
    assert f"{length_m:.2f} m inspected, of these 0.25 m not seen" in text
    assert f"{widest:.2f} ± 0.08 mm widest (95th percentile along the crack), no. 1" in text
    assert "1 surely wider than 0.3 mm" in text
    grades = [suggest(o, CODES).grade for o in kept]
    assert f"pipe rating {sum(grades)}, index {np.mean(grades):.1f}" in text
    assert f"Frame {kept[0].best_frame_id + 1} of the film; 15 frames show it" in text
    drawn = [a for a in page.all("g") if "crack" in str(a.get("class")).split()]
    assert len(drawn) == 2
    assert "172" in text
    for o in kept:
        assert o.sightings <= survey.progress.frames if survey.progress else False


def test_the_page_says_that_a_film_was_deinterlaced_and_that_nothing_is_missing(
    tmp_path: Path,
) -> None:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        journal.alarm("deinterlaced", "interlaced from 0.0 s on, top field first: deinterlaced")
    text = Page(rendered(read_survey(tmp_path))).text()
    assert "interlaced from 0.0 s on, top field first: deinterlaced" in text
    assert "No gap was recorded: all of the source could be used." in text


def test_a_picture_that_was_not_read_is_named_with_its_reason(tmp_path: Path) -> None:
    lost = gap(reason="unreadable", file="IMG_2.HEIC", detail="IMG_2.HEIC: needs pillow-heif")
    with Journal(tmp_path, facts(mode="wall", fps=None), limits=SMALL) as journal:
        shot = Photograph(file="a/IMG_1.jpg", taken="2024-05-06T07:08:09", lonlat=(6.0, 50.5))
        record(journal, unscaled(1, photograph=shot), *picture(1))
        journal.alarm("files", "passed over: 1 file of other kinds (notes.txt)")
        journal.commit(gaps=[lost])
    text = Page(rendered(read_survey(tmp_path))).text()
    assert "a/IMG_1.jpg, taken 2024-05-06 07:08:09, at 50.500000, 6.000000" in text
    assert "IMG_2.HEIC: needs pillow-heif" in text
    assert "notes.txt" in text
    assert "all of the source could be used" not in text
    with Journal(tmp_path, facts(mode="wall", fps=None), limits=SMALL) as journal:
        journal.commit(pictures=[SeenPicture(file="IMG_2.HEIC", frame_id=1)])  # mended since
    assert not read_survey(tmp_path).gaps


def test_the_scale_bar_can_be_read(tmp_path: Path) -> None:
    """The label is light on dark, whatever is behind it."""
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        record(journal, observation(1), *picture(1))
    [shot] = read_survey(tmp_path).observations
    pictures = pictures_of(tmp_path, shot)
    assert pictures is not None
    assert pictures.marked is not None
    data = np.frombuffer(base64.b64decode(pictures.marked.split(",")[1]), np.uint8)
    plate = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)[-40:-8, 8:60].astype(int)
    assert np.percentile(plate, 25) < 70
    assert np.percentile(plate, 98) > 190


def test_an_alarm_is_shown(hostile: Survey) -> None:
    alarms = (Alarm(utc="2026-01-01T00:00:00+00:00", reason="disk_full", detail="pictures wait"),)
    text = Page(rendered(Survey(**{**_fields(hostile), "alarms": alarms}))).text()
    assert "disk full" in text
    assert "pictures wait" in text


def _fields(survey: Survey) -> dict[str, object]:
    return {name: getattr(survey, name) for name in survey.__slots__}


def test_pdf_has_a_page_per_crack(hostile: Survey, tmp_path: Path) -> None:
    if not any(shutil.which(name) for name in BROWSERS) or not shutil.which("pdfinfo"):
        pytest.skip("needs Chromium and pdfinfo (apt-get install chromium poppler-utils)")
    page, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(rendered(hostile), encoding="utf-8")
    print_pdf(page, pdf)
    said = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Page size:\s+59[45]\S* x 84[12]", said)  # A4
    pages = int(re.search(r"Pages:\s+(\d+)", said)[1])
    assert 4 <= pages <= 5


def test_without_a_browser_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="needs Chromium or Chrome"):
        print_pdf(tmp_path / "report.html", tmp_path / "report.pdf")
