"""Which frames calibrate: hashes, leaks, repeats, useless sets, a choice of every kind."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from scnet_edge.errors import InputError
from scnet_edge.quantization import choose_frames as choosing
from scnet_edge.quantization import frame_candidates as reading
from scnet_edge.quantization.annotated_frames import (
    Annotated,
    gate_frames,
    mean_width_px,
    validation_frames,
)
from scnet_edge.quantization.choose_frames import (
    COLUMNS,
    choose_frames,
    evenly_spaced,
    refuse_calibration_frames,
    refuse_leaks,
    refuse_useless,
    without_repeats,
    without_validation,
    write_sheet,
)
from scnet_edge.quantization.frame_candidates import (
    CandidateFrame,
    brightness,
    read_candidates,
    red_minus_blue,
    sharpness,
)
from scnet_edge.quantization.perceptual_hash import (
    SAME_PICTURE_BITS,
    EvaluationHashes,
    bits,
    nearest,
    phash,
    public_test_splits,
)
from scnet_edge.simulation.clip import render_stills

SIZE = (96, 128)
Candidates = Callable[[int], list[CandidateFrame]]


def blank(frame: np.ndarray) -> np.ndarray:
    return np.zeros(frame.shape[:2], np.float32)


def test_a_picture_is_known_again_smaller_darker_and_compressed(candidate: CandidateFrame) -> None:
    frame = candidate.frame
    small = cv2.resize(frame, (80, 60), interpolation=cv2.INTER_AREA)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 1)
    dark = (frame * 0.6).astype(np.uint8)
    for changed in (small, jpeg, dark):
        assert nearest(candidate.phash, bits([phash(changed)]))[1] <= SAME_PICTURE_BITS
    others = [phash(f) for f, _ in render_stills(6, SIZE, seed=77)]
    assert nearest(candidate.phash, bits(others))[1] > SAME_PICTURE_BITS


def test_a_frame_of_a_test_split_is_refused_and_a_twin_left_out(
    candidates: Candidates, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = candidates(4)
    assert refuse_leaks(found, {}) == (found, [])
    near = f"{int(found[2].phash, 16) ^ 0b1011:064x}"  # as at another size
    known = EvaluationHashes(
        splits={"deepcrack test": [found[1].phash]}, twins={near: "deepcrack 11158"}
    )
    monkeypatch.setattr(choosing, "public_test_splits", lambda: known)
    with pytest.raises(InputError, match="1 of 4 frames are of the evaluation split 'deepcrack"):
        refuse_leaks(found, {})
    assert refuse_leaks([found[0], found[2]], {}) == (found[:1], ["wall-2"])
    with pytest.raises(InputError, match="'mine'"):
        refuse_leaks([found[0], found[3]], {"mine": [found[3].phash]})


def test_the_twin_looks_like_no_test_image_but_its_own() -> None:
    public = public_test_splits()
    assert {name: len(h) for name, h in public.splits.items()} == {
        "deepcrack test": 237, "crackforest test": 23, "masonry test": 48
    }  # fmt: skip
    for twin in public.twins:
        distances = [nearest(h, bits([twin]))[1] for s in public.splits.values() for h in s]
        assert sum(d <= SAME_PICTURE_BITS for d in distances) == 1
        assert sorted(distances)[1] > 2 * SAME_PICTURE_BITS


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_mirrored_picture_is_a_leak(
    axis: int, candidates: Candidates, walls: list[Annotated], calibrated: Callable
) -> None:
    found = candidates(3)
    flipped = np.ascontiguousarray(cv2.flip(found[1].frame, axis))
    leaked = dataclasses.replace(found[1], frame=flipped, phash=phash(flipped))
    with pytest.raises(InputError, match="1 of 3 frames are of the evaluation split 'mine'"):
        refuse_leaks([found[0], leaked, found[2]], {"mine": [found[1].phash]})
    assert without_validation([leaked], [found[1].frame]) == []
    mirrored = np.ascontiguousarray(cv2.flip(walls[2].read()[0], axis))
    with pytest.raises(InputError, match="1 of 12 frames of the gate calibrated"):
        refuse_calibration_frames(walls, calibrated([mirrored]))


def test_the_gate_refuses_to_judge_on_calibration_frames(
    walls: list[Annotated],
    calibrated: Callable,
) -> None:
    calibration = calibrated([walls[2].read()[0]])
    refuse_calibration_frames(walls[3:], calibration)
    with pytest.raises(InputError, match=r"1 of 12 frames of the gate calibrated .* \(2\)"):
        refuse_calibration_frames(walls, calibration)


def test_repeats_and_validation_frames_are_left_out(
    candidates: Candidates, walls: list[Annotated]
) -> None:
    found = candidates(3)
    again = dataclasses.replace(found[0], name="again", phash=phash(found[0].frame // 2))
    assert [c.name for c in without_repeats([*found, again])] == ["wall-0", "wall-1", "wall-2"]
    assert [c.name for c in without_validation(found, [found[1].frame])] == ["wall-0", "wall-2"]
    assert without_validation(found, []) == found


def test_useless_frames_are_refused(candidates: Candidates) -> None:
    with pytest.raises(InputError, match=r"at least 8 different frames .* found 3 among 40"):
        refuse_useless(candidates(3), 40)
    found = candidates(8)
    refuse_useless(found, 8)
    refuse_useless([dataclasses.replace(c, sharpness=12.0) for c in found], 8)  # plaster
    with pytest.raises(InputError, match="noise"):
        refuse_useless([dataclasses.replace(c, sharpness=19.0) for c in found], 8)
    with pytest.raises(InputError, match="black or white"):
        refuse_useless([dataclasses.replace(c, brightness=0.4) for c in found], 8)


def test_figures_of_a_frame() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    grey = np.repeat(noise[..., None], 3, 2)
    assert sharpness(grey) == pytest.approx(20, rel=0.05)  # 16 + 4 neighbours of equal variance
    assert sharpness(np.full((32, 32, 3), 7, np.uint8)) == 0
    colour = np.zeros((32, 32, 3), np.uint8)
    colour[:] = (10, 20, 40)
    assert red_minus_blue(colour) == 30
    assert brightness(colour) == pytest.approx(0.114 * 10 + 0.587 * 20 + 0.299 * 40, abs=0.6)


def test_mean_width_of_a_drawn_line() -> None:
    for width_px in (5, 9, 20):
        mask = np.zeros((200, 300), bool)
        mask[50 : 50 + width_px] = True
        assert mean_width_px(mask) == pytest.approx(width_px, abs=0.6)


def test_rare_kinds_are_not_drowned(candidate: CandidateFrame) -> None:
    rng = np.random.default_rng(0)
    common = [
        dataclasses.replace(
            candidate, name=f"c{i}", crack_area=0.0, brightness=200 + i / 100,
            look=rng.random(128, np.float32),
        )
        for i in range(100)
    ]  # fmt: skip
    rare = [
        dataclasses.replace(
            candidate, name=f"r{i}", crack_area=0.1, brightness=20.0,
            look=rng.random(128, np.float32),
        )
        for i in range(3)
    ]  # fmt: skip
    chosen = choose_frames([*common, *rare], 12)
    names = [c.name for c, _ in chosen]
    assert len(set(names)) == 12
    assert {"r0", "r1", "r2"} <= set(names)
    assert {why.partition(",")[0] for _, why in chosen} == {"no crack", "much crack"}


def test_the_choice_within_a_kind_looks_different(candidate: CandidateFrame) -> None:
    looks = [np.zeros(128, np.float32)] * 20 + [np.full(128, x, np.float32) for x in (0.5, 1.0)]
    pool = [dataclasses.replace(candidate, name=str(i), look=v) for i, v in enumerate(looks)]
    assert {c.name for c, _ in choose_frames(pool, 3)} > {"20", "21"}
    assert len(choose_frames(pool, 99)) == len(pool)


def test_evenly_spaced_is_from_end_to_end() -> None:
    assert evenly_spaced(range(237), 6) == [0, 47, 94, 142, 189, 236]
    assert evenly_spaced("abc", 9) == ["a", "b", "c"]
    assert evenly_spaced(range(9), 1) == [0]


def test_sources_are_read_evenly_and_named_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for i, (frame, _) in enumerate(render_stills(6, SIZE, seed=ord(folder))):
            cv2.imwrite(str(tmp_path / folder / f"{i}.png"), frame)
    sources = [str(tmp_path / "a"), str(tmp_path / "b")]
    found = read_candidates(sources, 1, (64, 96), blank, 0.5, "fit")
    assert [c.name for c in found] == ["1/0", "1/3", "2/0", "2/3"]
    assert {c.frame.shape for c in found} == {(64, 96, 3)}
    assert found[0].crack_area == 0


def test_large_pictures_calibrate_in_tiles_and_are_known_again(tmp_path: Path) -> None:
    """A tile of a picture of a test split is refused, though no tile looks like the whole."""
    pictures = [frame for frame, _ in render_stills(3, (192, 288), seed=3)]
    for i, frame in enumerate(pictures):
        cv2.imwrite(str(tmp_path / f"{i}.png"), frame)
    found = read_candidates([str(tmp_path)], 99, (96, 144), blank, 0.5)
    assert len(found) == 3 * 9  # a mosaic's tiles, and those across the cuts
    for candidate in found:
        name, tile = candidate.name.split(", tile ")
        row, column = divmod(int(tile) - 1, 3)
        top, left = 48 * row, 72 * column
        whole = pictures[int(name)]
        np.testing.assert_array_equal(candidate.frame, whole[top : top + 96, left : left + 144])
        assert candidate.picture_ways[0] == phash(whole)
    few = read_candidates([str(tmp_path)], 2, (96, 144), blank, 0.5)
    assert len({c.name.partition(", ")[2] for c in few}) > 1
    with pytest.raises(InputError, match="evaluation split 'mine'"):
        refuse_leaks(found, {"mine": [phash(pictures[1][:, ::-1])]})


def test_a_source_of_unknown_length_is_held_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [np.full((*SIZE, 3), i, np.uint8) for i in range(100)]

    @contextmanager
    def opened(source: str) -> Iterator[tuple[Iterator[tuple[str, np.ndarray]], None, str]]:
        yield ((str(i), frame) for i, frame in enumerate(frames)), None, "fit"

    monkeypatch.setattr(reading, "_open", opened)
    found = read_candidates(["stream.ts"], 8, SIZE, blank, 0.5)
    assert [c.name for c in found] == [str(i) for i in range(0, 100, 4)]
    assert len(found) <= reading.PER_WANTED * 8 < len(frames)


def test_a_cut_video_and_a_name_of_other_bytes_are_refused(tmp_path: Path) -> None:
    video = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 96))
    for frame, _ in render_stills(12, SIZE, seed=4):
        writer.write(frame)
    writer.release()
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        InputError, match=r"cut\.avi: ends after \d+ frames.* copy it again"
    ) as found:
        read_candidates([str(video)], 8, SIZE, blank, 0.5)
    assert "--frames" not in str(found.value)
    (tmp_path / "f").mkdir()
    odd = os.fsencode(tmp_path / "f") + b"/a\xff.png"
    Path(os.fsdecode(odd)).write_bytes(cv2.imencode(".png", np.zeros((*SIZE, 3), np.uint8))[1])
    [named] = read_candidates([str(tmp_path / "f")], 8, SIZE, blank, 0.5)
    assert named.name == r"a\xff"


def test_the_contact_sheet_shows_every_frame(candidates: Candidates, tmp_path: Path) -> None:
    chosen = [(c, "no crack, dark, soft") for c in candidates(10)]
    write_sheet(tmp_path / "s.png", chosen)
    sheet = cv2.imread(str(tmp_path / "s.png"))
    tile_h, tile_w = sheet.shape[0] // 2, sheet.shape[1] // COLUMNS
    spread = [
        sheet[r * tile_h : (r + 1) * tile_h - 60, c * tile_w : (c + 1) * tile_w].std()
        for r in range(2)
        for c in range(COLUMNS)
    ]
    assert sum(s > 10 for s in spread) == 10


def data_set(folder: Path, count: int, split: str = "test") -> str:
    for kind in ("images", "masks"):
        (folder / split / kind).mkdir(parents=True)
    for i, (frame, mask) in enumerate(render_stills(count, SIZE, seed=4)):
        cv2.imwrite(str(folder / split / "images" / f"{i:02}.png"), frame)
        drawn = mask.astype(np.uint8) * 255
        cv2.imwrite(str(folder / split / "masks" / f"{i:02}.png"), drawn)
    return f"folder:{folder}"


def test_gate_frames_know_their_data_set_and_tags(tmp_path: Path) -> None:
    spec = data_set(tmp_path / "d", 3)
    (tmp_path / "d" / "strata.json").write_text('{"wet": ["00", "02"]}')
    frames, name = gate_frames([spec], SIZE)
    assert name == "folder test"
    assert [frame.tags for frame in frames] == [{"wet"}, set(), {"wet"}]
    frame, truth = frames[1].read()
    assert frame.shape == (*SIZE, 3)
    assert truth is not None
    assert truth.crack.any()
    for text, said in (
        ('["wet"]', "by stratum"),
        ('{"wet": [0]}', "by stratum"),
        ('{"wet": ["00.png"]}', r"no image is named '00\.png'; .* without its ending"),
        ('{"dark": ["00"]}', "'dark' is a stratum of the gate's own"),
        ('{"folder": ["00"]}', "'folder' is a stratum of the gate's own"),
    ):
        (tmp_path / "d" / "strata.json").write_text(text)
        with pytest.raises(InputError, match=said):
            gate_frames([spec], SIZE)
    drawn, name = gate_frames([], SIZE)
    assert len(drawn) == 24
    assert "drawn" in name


def test_data_sets_of_one_kind_are_strata_of_their_own(tmp_path: Path) -> None:
    a, b = (data_set(tmp_path / name, 2) for name in ("a", "b"))
    frames, name = gate_frames([a, b], SIZE)
    assert [frame.data for frame in frames] == [a, a, b, b]
    assert name == f"{a} test, {b} test"
    with pytest.raises(InputError, match="given twice"):
        gate_frames([a, b, a], SIZE)


def test_a_stratum_may_name_images_of_any_split(tmp_path: Path) -> None:
    for split, count in (("train", 12), ("test", 3)):
        data_set(tmp_path / "d", count, split)
    (tmp_path / "d" / "strata.json").write_text('{"wet": ["01", "11"]}')
    frames, _ = gate_frames([f"folder:{tmp_path / 'd'}"], SIZE)
    assert [frame.tags for frame in frames] == [set(), {"wet"}, set()]
    (tmp_path / "d" / "strata.json").write_text('{"wet": ["11"]}')
    with pytest.raises(InputError, match=r"stratum 'wet' .* has no image of the test split"):
        gate_frames([f"folder:{tmp_path / 'd'}"], SIZE)


def test_every_tenth_image_validates(tmp_path: Path) -> None:
    frames, name = validation_frames(data_set(tmp_path / "d", 11, "train"))
    assert [frame.name for frame in frames] == ["00", "10"]
    assert name == "every tenth of folder train"
