import base64
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from scnet_edge.runtime.counters import Latency
from scnet_edge.sinks.run_page import Gallery, render_page
from scnet_edge.sinks.run_records import FrameRecord
from scnet_edge.types import PixelCounts

RNG = np.random.default_rng(2)
FRAME = RNG.integers(0, 256, (60, 80, 3), np.uint8)
MASK = np.zeros((60, 80), bool)
MASK[10:20, 5:60] = True
HOSTILE = "</script><img src=x onerror=alert(1)>&\"'\u2028"
FACTS = {"Source": HOSTILE, "Engine": "fake"}


def record(index: int, cracks: int = 1, name: str = HOSTILE) -> FrameRecord:
    crack = {
        "length_px": 10.0 + index,
        "width_mean_px": 2.0,
        "width_max_px": 3.0,
        "angle_deg": 45.0,
    }
    return FrameRecord(
        frame_id=index,
        name=name,
        mono_ns=0,
        utc_ns=None,
        clock_synced=None,
        faults=(),
        flags=(),
        scale="native",
        tiles=1,
        ignored_px=0,
        age_ms=None,
        camera_to_mask_ms=None,
        power_mode=None,
        clocks_mhz={},
        clocks_locked=None,
        hottest_c=None,
        total_mw=None,
        throttled=(),
        size_hw=(60, 80),
        crack_area_px=550,
        cracks=[{**crack, "area_px": 550, "bbox_xyxy": (5, 10, 60, 20)}] * cracks,
        timing_ms={"resize": 1.0, "engine": 3.0},
    )


def page_of(frames: int, gallery: Gallery | None = None) -> str:
    gallery = gallery or Gallery()
    for i in range(frames):
        gallery.add(i, FRAME, MASK, edges=MASK.astype(np.float32), truth=MASK)
    records = [record(i) for i in range(frames)]
    scores = {0: PixelCounts(predicted=2, right=1, true=2, found=1)}
    return render_page(records, gallery, facts=FACTS, scores=scores, latency=latency_of(records))


def latency_of(records: list[FrameRecord]) -> Latency:
    latency = Latency()
    for each in records:
        latency.add({**each.timing_ms, "total": sum(each.timing_ms.values())})
    return latency


class Scripts(HTMLParser):
    """The scripts of a page, and every tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and self.scripts:
            self.scripts[-1] += data


def data_of(page: str) -> dict:
    return json.loads(Scripts(page).scripts[0])


def test_the_page_asks_for_nothing_outside_itself() -> None:
    page = page_of(3)
    assert "://" not in page
    assert "@import" not in page
    assert not re.search(r"url\(", page)
    for tag, attributes in Scripts(page).tags:
        assert tag not in {"link", "iframe", "object", "embed"}
        assert not {"src", "href"} & set(attributes)


def test_names_cannot_leave_their_string() -> None:
    page = page_of(2)
    parsed = Scripts(page)
    assert len(parsed.scripts) == 2
    assert "onerror" not in {key for _, attributes in parsed.tags for key in attributes}
    assert data_of(page)["names"] == [HOSTILE, HOSTILE]
    assert data_of(page)["facts"]["Source"] == HOSTILE


def test_layers_decode_to_the_frame_and_the_mask() -> None:
    shot = data_of(page_of(1))["shots"][0]
    for layer in ("frame", "mask", "edges", "truth"):
        encoded = np.frombuffer(base64.b64decode(shot[layer].split(",")[1]), np.uint8)
        image = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
        assert image.shape[:2] == ((30, 40) if layer == "edges" else FRAME.shape[:2])
        if layer == "mask":
            np.testing.assert_array_equal(image[..., 3] > 0, MASK)


def test_figures_are_those_of_the_records() -> None:
    data = data_of(page_of(4))
    figures = {label: value for label, value, _ in data["figures"]}
    assert ["Cracks", "4", "summed over frames, 1.0 in each"] in data["figures"]
    p50_ms, p95_ms, _ = latency_of([record(0)]).summary_ms()["total"]  # as the terminal has it
    assert data["stages"]["total"] == [p50_ms, p95_ms]
    assert figures["Frames"] == "4"
    assert figures["Cracks"] == "4"
    assert figures["Longest crack"] == "13 px"
    assert figures["Per frame"] == "4.0 ms"
    assert figures["Frames per second"] == f"{1e3 / p50_ms:.1f}"
    assert figures["F1, pixel exact"] == "0.500"


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 100])
def test_the_gallery_picks_evenly_and_says_so(frames: int) -> None:
    data = data_of(page_of(frames, Gallery(max_shots=8)))
    indices = [shot["index"] for shot in data["shots"]]
    assert indices[0] == 0
    assert min(frames, 5) <= len(indices) <= 8
    assert len(set(np.diff(indices))) <= 1
    assert (f"{len(indices)} of {frames} frames" in data["selection"]) == (frames > 8)


def test_the_gallery_keeps_within_its_bytes() -> None:
    gallery = Gallery(max_bytes=60_000)
    page = page_of(50, gallery)
    assert 1 < len(gallery.shots) < 50
    assert len(page) < 60_000 * 4 / 3 + 60_000


def test_the_table_holds_the_longest_fifty() -> None:
    data = data_of(page_of(70))
    assert data["cracks_total"] == 70
    assert [crack["length_px"] for crack in data["cracks"]] == [79.0 - i for i in range(50)]


def test_a_page_without_a_crack() -> None:
    gallery = Gallery()
    gallery.add(0, FRAME, np.zeros_like(MASK))
    records = [record(0, cracks=0)]
    page = render_page(records, gallery, facts=FACTS, scores={}, latency=latency_of(records))
    assert data_of(page)["cracks"] == []


def test_a_large_frame_is_shown_small_with_its_hairline_crack() -> None:
    mask = np.zeros((1200, 1920), bool)
    mask[600] = True
    gallery = Gallery()
    gallery.add(0, np.zeros((1200, 1920, 3), np.uint8), mask)
    assert gallery.shots[0].size_hw == (600, 960)
    encoded = np.frombuffer(
        base64.b64decode(gallery.shots[0].layers["mask"].split(",")[1]), np.uint8
    )
    assert cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)[..., 3].any(axis=0).all()
