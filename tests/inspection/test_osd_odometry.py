"""A counter drawn over simulated footage, and misreadings among right ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.errors import ConfigError
from scnet_edge.inspection.odometry import open_odometry
from scnet_edge.inspection.osd_counter import CounterPlace, numbers_of, plausible
from scnet_edge.inspection.osd_odometry import parse_counter, read_counter
from scnet_edge.inspection.setup import Setup
from scnet_edge.simulation.clip import render_clip
from scnet_edge.types import Captured

FPS, SIZE_HW = 10, (288, 480)
AT = "osd://230,6,240,40"
SETUP = Setup(mode="wall", mm_per_px=0.5)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """Return a film with its counter, that moves, stands and goes back, and the metres shown."""
    path = tmp_path_factory.mktemp("osd") / "film.mp4"
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), FPS, SIZE_HW[::-1]
    )
    metres, shown = 9.2, []
    for i, (frame, _) in enumerate(render_clip(120, SIZE_HW, seed=2)):
        metres += (0.025, 0.0, 0.025, -0.01)[i // 30]
        text, place, font = f"DIST {metres:05.2f} m", (240, 34), cv2.FONT_HERSHEY_SIMPLEX
        drawn = frame.copy()
        for colour, thickness in (((0, 0, 0), 5), ((255, 255, 255), 2)):
            cv2.putText(drawn, text, place, font, 0.8, colour, thickness, cv2.LINE_AA)
        writer.write(drawn)
        shown.append(float(f"{metres:.2f}"))
    writer.release()
    return path, shown


@pytest.mark.parametrize("at", [AT, "osd://auto"])
def test_a_drawn_counter_is_read(film: tuple[Path, list[float]], at: str) -> None:
    path, shown = film
    readings = read_counter(path, parse_counter(at)).readings
    assert len(readings) >= 0.95 * len(shown) / FPS / 0.5
    wrong_m = [abs(metres - shown[round(time_s * FPS)]) for time_s, metres in readings]
    assert np.mean(np.array(wrong_m) <= 0.05) >= 0.98
    assert max(wrong_m) <= 0.1


def test_every_frame_has_a_chainage_with_its_uncertainty(film: tuple[Path, list[float]]) -> None:
    path, shown = film
    frame = np.zeros((*SIZE_HW, 3), np.uint8)
    off = []
    with open_odometry(AT, SETUP, film=str(path)) as odometry:
        for i, metres in enumerate(shown[:-FPS]):
            captured = Captured(frame_id=i, name="f", frame=frame, mono_ns=77 + i * 10**9 // FPS)
            pose = odometry.at(captured)
            assert pose.chainage_m is not None
            assert pose.sigma_m is not None
            off.append(abs(pose.chainage_m - metres) - 2 * pose.sigma_m)
    assert np.mean(np.array(off) <= 0.03) >= 0.95  # it starts, stops and turns between readings
    assert max(off) <= 0.1


def test_where_there_is_no_counter_there_is_no_reading(film: tuple[Path, list[float]]) -> None:
    path, _ = film
    assert read_counter(path, parse_counter("osd://4,180,120,40")).readings == []
    with pytest.raises(ConfigError, match="outside the film's 480x288"):
        read_counter(path, parse_counter("osd://300,6,240,40"))


def test_a_film_without_a_counter_has_none(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), FPS, SIZE_HW[::-1]
    )
    for i, (frame, _) in enumerate(render_clip(60, SIZE_HW, seed=2)):
        text = f"30.11.2026 12:00:{i // FPS:02d}  DN 300"  # a clock counts, too
        cv2.putText(frame, text, (20, 34), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)
        writer.write(frame)
    writer.release()
    assert read_counter(path, parse_counter("osd://auto")).place is None
    with (
        pytest.raises(ConfigError, match="no counter found"),
        open_odometry("osd://auto", SETUP, film=str(path)),
    ):
        pass


def test_no_misreading_is_kept_and_no_right_one_lost() -> None:
    chance = np.random.default_rng(5)
    kept = wrong = right = 0
    for _ in range(50):
        speeds = np.repeat(chance.choice([0.0, 0.1, 0.25, 0.4], 20), 10)
        metres = np.round(chance.uniform(0, 90) + np.cumsum(speeds * 0.5), 2)
        truth = {0.5 * i: float(m) for i, m in enumerate(metres)}
        read = [(t, misread(chance, m) if chance.random() < 0.08 else m) for t, m in truth.items()]
        off_m = np.array([abs(m - truth[t]) for t, m in plausible(read)])
        assert off_m.max() <= 0.35  # no wrong jump: what is left is a tenth or two
        wrong += int((off_m > 0.05).sum())
        kept += int((off_m <= 0.05).sum())
        right += sum(m == truth[t] for t, m in read)
    assert wrong <= 0.01 * kept
    assert kept >= 0.98 * right


def misread(chance: np.random.Generator, metres: float) -> float:
    """Return a number one of whose digits was taken for another."""
    text = list(f"{metres:05.2f}")
    digits = [i for i, c in enumerate(text[:-1]) if c.isdigit()]
    at = digits[chance.integers(len(digits))]
    text[at] = str((int(text[at]) + chance.integers(1, 10)) % 10)
    return float("".join(text))


def test_a_counter_that_is_set_anew_goes_on_and_a_stray_text_does_not() -> None:
    before = [(0.5 * i, 60 + 0.1 * i) for i in range(20)]
    after = [(10 + 0.5 * i, 0.1 * i) for i in range(60)]
    assert plausible(before + after) == before + after
    stray = [(10 + 0.5 * i, 90.0) for i in range(3)]
    later = [(time_s + 3, metres) for time_s, metres in after]
    assert plausible(before + stray + later) == before + later
    assert plausible([]) == plausible(stray) == []


def test_numbers_of_counters() -> None:
    texts = ["12.34", "DIST 0012,35 m", "O7.O5m", "12:30:11 4.50 m", "24.12.2025", "", "DIST0973mm"]
    assert numbers_of(texts) == [12.34, 12.35, 7.05, 4.5, None, None, 9.73]
    assert numbers_of(["31 m", "32m", "x"]) == [31, 32, None]
    assert numbers_of(["10.48:mm", "5.1 ft"]) == [10.48, 5.1]


def test_what_a_uri_says() -> None:
    assert parse_counter(AT).place == CounterPlace(x=230, y=6, width=240, height=40)
    assert parse_counter("osd://auto?unit=ft").place is None
    assert parse_counter("osd://1,2,3,4?unit=ft").unit_m == pytest.approx(0.3048)
    for bad in ("osd://", "osd://1,2,3", "osd://1,2,0,4", "osd://1,2,3,4?unit=yd", "osd://a,b,c,d"):
        with pytest.raises(ConfigError, match="expected osd://auto or osd://x,y,width"):
            parse_counter(bad)
    with (
        pytest.raises(ConfigError, match="found another source"),
        open_odometry(AT, SETUP, film="rtsp://camera/1"),
    ):
        pass
