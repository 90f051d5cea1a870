"""Masks go out to an annotation tool and come back: the same, corrected, or gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hand_made import facts, observation, picture

from scnet_edge.data.outlines import polygon_mask
from scnet_edge.errors import InputError
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.evidence import read_crack_mask, read_sidecars
from scnet_edge.survey.exchange import export_survey
from scnet_edge.survey.exchange.annotations import import_annotations
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record
from scnet_edge.types import Mask

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
SIZE_HW = picture(1)[1].shape
SQUARE = [[20.0, 30.0], [60.0, 30.0], [60.0, 50.0], [20.0, 50.0]]


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    with Journal(tmp_path / "survey", facts(), limits=SMALL) as journal:
        for seq in (1, 2, 3):
            record(journal, observation(seq), *picture(seq))
    return tmp_path / "survey"


def square() -> Mask:
    mask = np.zeros(SIZE_HW, np.bool_)
    mask[30:50, 20:60] = True
    return mask


def coco(path: Path, names: list[str]) -> Path:
    """Write a COCO file as CVAT does: the second picture has a polygon, the others nothing."""
    h, w = SIZE_HW
    images = [{"id": i, "file_name": name, "height": h, "width": w} for i, name in enumerate(names)]
    flat = [value for point in SQUARE for value in point]
    notes = [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [flat]}]
    path.write_text(json.dumps({"images": images, "annotations": notes, "categories": []}))
    return path


def label_studio(path: Path, names: list[str]) -> Path:
    h, w = SIZE_HW
    percent = [[100 * x / w, 100 * y / h] for x, y in SQUARE]
    value = {"points": percent, "polygonlabels": ["crack"]}
    result = {"type": "polygonlabels", "original_width": w, "original_height": h, "value": value}
    tasks = [
        {"file_upload": f"5f1c0de5-{name}", "annotations": [{"result": [result] * (i == 1)}]}
        for i, name in enumerate(names)
    ]
    path.write_text(json.dumps(tasks))
    return path


def labelme(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    h, w = SIZE_HW
    for i, name in enumerate(names):
        shapes = [{"label": "crack", "points": SQUARE, "shape_type": "polygon"}] * (i == 1)
        data = {"imagePath": f"..\\snapshots\\{name}", "imageHeight": h, "imageWidth": w}
        (folder / f"{name}.json").write_text(json.dumps(data | {"shapes": shapes}))
    return folder


def masks(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for i, name in enumerate(names):
        image = square().astype(np.uint8) * 255 * (i == 1)
        cv2.imwrite(str(folder / name.replace(".jpg", ".png")), image)
    return folder


@pytest.mark.parametrize("write", [coco, label_studio, labelme, masks])
def test_a_corrected_mask_is_the_record_s_and_accepted(
    survey: Path, tmp_path: Path, write: Callable[[Path, list[str]], Path]
) -> None:
    path = write(tmp_path / "made.json", ["000001.jpg", "000002.jpg"])
    done = import_annotations(survey, path)
    assert (done.corrected, done.same, done.rejected, done.unknown) == ((2,), (), (), ())
    first, second, third = read_survey(survey).observations
    assert [o.review for o in (first, second, third)] == [
        "needs_review",
        "accepted",
        "needs_review",
    ]
    assert "mask_corrected" in second.flags
    assert second.width_p95_mm == observation(2).width_p95_mm
    outline = [float(value) for point in SQUARE for value in point]
    truth = square() if write is masks else polygon_mask([outline], SIZE_HW)  # as pycocotools
    np.testing.assert_array_equal(read_crack_mask(survey, second), truth)
    assert read_sidecars(survey)[1] == second
    done = import_annotations(survey, path, reject_empty=True)
    assert (done.corrected, done.same, done.rejected) == ((), (2,), (1,))
    assert read_survey(survey).observations[0].review == "rejected"


def test_our_own_export_comes_back_as_it_went(survey: Path, tmp_path: Path) -> None:
    [path] = export_survey(read_survey(survey), read_codes(), "coco", tmp_path)
    done = import_annotations(survey, path)
    assert done.same == (1, 2, 3)
    assert {o.review for o in read_survey(survey).observations} == {"accepted"}


def test_a_picture_of_two_cracks_gives_each_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "survey"
    masks = [np.zeros(SIZE_HW, np.bool_) for _ in range(2)]
    masks[0][10:14, 10:60], masks[1][80:84, 10:60] = True, True
    with Journal(folder, facts(), limits=SMALL) as journal:
        for seq, mask in enumerate(masks, 1):
            record(journal, observation(seq, best_frame_id=7), picture(1)[0], mask)
    [path] = export_survey(read_survey(folder), read_codes(), "coco", tmp_path)
    assert import_annotations(folder, path).same == (1, 2)
    both = (masks[0] | masks[1]).astype(np.uint8) * 255
    both[84:86, 10:60] = 255  # the second one is wider
    cv2.imwrite(str(tmp_path / "000001.png"), both)
    done = import_annotations(folder, tmp_path / "000001.png")
    assert (done.same, done.corrected) == ((1,), (2,))
    second = read_crack_mask(folder, read_survey(folder).observations[1])
    assert second is not None
    assert second.sum() == 6 * 50
    assert not second[:20].any()


def test_tools_rename_pictures_and_some_are_not_ours(survey: Path, tmp_path: Path) -> None:
    names = ["holiday.jpg", "images\\000002_jpg.rf.0a1b2c.jpg", "000099.jpg"]
    done = import_annotations(survey, coco(tmp_path / "a.json", names))
    assert done.corrected == (2,)
    assert done.unknown == ("holiday.jpg", "000099.jpg")


def test_nothing_is_changed_where_one_mask_does_not_fit(survey: Path, tmp_path: Path) -> None:
    folder = masks(tmp_path / "masks", ["000001.jpg", "000002.jpg"])
    cv2.imwrite(str(folder / "000003.png"), np.full((25, 37), 255, np.uint8))
    with pytest.raises(InputError, match="found 37x25"):
        import_annotations(survey, folder)
    assert {o.review for o in read_survey(survey).observations} == {"needs_review"}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", b"{", "no annotations"),
        ("a.json", b"[" * 200_000 + b"]" * 200_000, "no annotations"),
        ("a.json", b'{"shapes":' + b"[" * 5_000 + b"]" * 5_000 + b"}", r"no annotations|labelme"),
        ("a.json", b'[{"file_upload": "\xff"}]', "cannot be read as UTF-8"),
        ("a.json", b'["a"]', "no annotations"),
        ("a.json", b'[{"data": {"image": "a"}, "annotations": ["x"]}]', "no annotations"),
        ("a.json", b"[" + b"[]," * 12_000_000 + b"[]]", "expected at most 32 MiB"),
        ("a.json", b"{}", "expected COCO"),
        ("a.json", b'[{"data": {}}]', "a task without a picture"),
        ("a.json", b'{"images": [{}], "annotations": []}', "expected a COCO file"),
        ("a.png", b"x", "not an image"),
        ("a.txt", b"x", "expected a folder"),
        ("a.zip", b"x", "unpack it"),
        ("a.xml", b"x", "export as COCO"),
    ],
)
def test_a_file_that_is_none_is_one_line(
    survey: Path, tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=expected) as raised:
        import_annotations(survey, tmp_path / name)
    assert len(str(raised.value).splitlines()) == 1


# The square, packed by label-studio-converter 0.0.59: `encode_rle` of its four equal channels.
PACKED = (
    "00012c00391bff4b4f00d3fffc077c034ffff01df00d3fffc077c034ffff01df00d3fffc077c034ffff01df0"
    "0d3fffc077c034ffff01df00d3fffc077c034ffff01df00d3fffc077c034ffff01df00d3fffc077c034ffff0"
    "1df00d3fffc077c034ffff01df00d3fffc077c034ffff01df00d3fffc077c034ffffb08f0000"
)


def brush(path: Path, packed: bytes, side: int = SIZE_HW[1], **annotation: object) -> Path:
    """Write the JSON of Label Studio for a picture that was painted."""
    value = {"format": "rle", "rle": list(packed), "brushlabels": ["crack"]}
    sides = {"original_width": side, "original_height": SIZE_HW[0]}
    result = [{"type": "brushlabels", "value": value, **sides}]
    task = {"data": {"image": "/data/upload/7/5f1c0de5-000002.jpg"}}
    path.write_text(json.dumps([task | {"annotations": [{"result": result, **annotation}]}]))
    return path


def test_brush_strokes_are_unpacked(survey: Path, tmp_path: Path) -> None:
    done = import_annotations(survey, brush(tmp_path / "a.json", bytes.fromhex(PACKED)))
    assert done.corrected == (2,)
    second = read_survey(survey).observations[1]
    np.testing.assert_array_equal(read_crack_mask(survey, second), square())


def test_what_was_skipped_is_not_drawn(survey: Path, tmp_path: Path) -> None:
    path = brush(tmp_path / "a.json", bytes.fromhex(PACKED), was_cancelled=True)
    assert import_annotations(survey, path).corrected == ()


@pytest.mark.parametrize(
    ("packed", "side", "expected"),
    [
        (PACKED[:60], SIZE_HW[1], "end too soon"),
        ("", SIZE_HW[1], "end too soon"),
        (PACKED, SIZE_HW[1] - 1, "of 76800 values"),
    ],
)
def test_brush_strokes_that_do_not_fit_are_one_line(
    survey: Path, tmp_path: Path, packed: str, side: int, expected: str
) -> None:
    path = brush(tmp_path / "a.json", bytes.fromhex(packed), side)
    with pytest.raises(InputError, match=expected):
        import_annotations(survey, path)
    assert {o.review for o in read_survey(survey).observations} == {"needs_review"}


@pytest.mark.parametrize("write", [coco, label_studio, labelme])
def test_of_several_labels_the_user_says_which_is_crack(
    survey: Path, tmp_path: Path, write: Callable[[Path, list[str]], Path]
) -> None:
    path = write(tmp_path / "made.json", ["000001.jpg", "000002.jpg"])
    for file in path.glob("*2.jpg.json") if path.is_dir() else [path]:
        made = json.loads(file.read_text())
        if write is coco:
            made["categories"] = [{"id": 1, "name": "crack"}, {"id": 2, "name": "joint"}]
            flat = [[0, 0, 160, 0, 160, 10]]
            joint = {"id": 2, "image_id": 1, "category_id": 2, "segmentation": flat}
            made["annotations"].append(joint)
        elif write is labelme:
            points = [[0, 0], [160, 0], [160, 10]]
            made["shapes"].append({"label": "joint", "points": points, "shape_type": "polygon"})
        else:
            [shape] = made[1]["annotations"][0]["result"]
            value = {"points": [[0, 0], [100, 0], [100, 9]], "polygonlabels": ["joint"]}
            made[1]["annotations"][0]["result"] = [shape, shape | {"value": value}]
        file.write_text(json.dumps(made))
    with pytest.raises(InputError, match=r"2 categories .*by --label crack"):
        import_annotations(survey, path)
    assert import_annotations(survey, path, labels=frozenset({"crack"})).corrected == (2,)
    outline = [float(value) for point in SQUARE for value in point]
    second = read_crack_mask(survey, read_survey(survey).observations[1])
    np.testing.assert_array_equal(second, polygon_mask([outline], SIZE_HW))


def test_the_folders_of_cvat_are_taken_whole(survey: Path, tmp_path: Path) -> None:
    names = ["000001.jpg", "000002.jpg"]
    (tmp_path / "coco" / "annotations").mkdir(parents=True)
    (tmp_path / "coco" / "images").mkdir()
    coco(tmp_path / "coco" / "annotations" / "instances_default.json", names)
    assert import_annotations(survey, tmp_path / "coco").corrected == (2,)
    voc = tmp_path / "voc"
    (voc / "SegmentationClass").mkdir(parents=True)
    (voc / "labelmap.txt").write_text("background:0,0,0::\ncrack:250,50,83::\n")
    for i, name in enumerate(names):
        coloured = np.zeros((*SIZE_HW, 3), np.uint8)
        coloured[square() * (i == 0)] = (83, 50, 250)
        cv2.imwrite(str(voc / "SegmentationClass" / name.replace(".jpg", ".png")), coloured)
    assert import_annotations(survey, voc).corrected == (1,)


@pytest.mark.parametrize("name", ["9" * 5000 + ".jpg", "x" + "0" * 5000 + "1.jpg"])
def test_numbers_of_thousands_of_digits_are_no_record(
    survey: Path, tmp_path: Path, name: str
) -> None:
    assert import_annotations(survey, coco(tmp_path / "a.json", [name, "b"])).unknown == (name, "b")


@pytest.mark.parametrize("write", [label_studio, labelme])
def test_a_picture_of_a_million_million_pixels_is_refused_unseen(
    survey: Path, tmp_path: Path, write: Callable[[Path, list[str]], Path]
) -> None:
    path = write(tmp_path / "made.json", ["000001.jpg", "000002.jpg"])
    for file in [path] if path.is_file() else path.iterdir():
        text = file.read_text().replace(f": {SIZE_HW[0]}", ": 1000000")
        file.write_text(text.replace(f": {SIZE_HW[1]}", ": 1000000"))
    with pytest.raises(InputError, match="1000000x1000000 px, expected at most"):
        import_annotations(survey, path)


def test_who_is_killed_while_masks_are_written_imports_again(
    survey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = coco(tmp_path / "a.json", ["000001.jpg", "000002.jpg"])
    written = "scnet_edge.survey.review.write_sidecar"
    for moment in ("scnet_edge.survey.review.write_crack_mask", written):
        with monkeypatch.context() as patch:
            patch.setattr(moment, _killed)
            with pytest.raises(KeyboardInterrupt):
                import_annotations(survey, path)
        second = read_survey(survey).observations[1]
        assert "mask_corrected" in second.flags
        assert second.review == ("accepted" if moment == written else "needs_review")
    import_annotations(survey, path)
    assert read_survey(survey).observations[1].review == "accepted"
    assert "mask_corrected" in read_survey(survey).observations[1].flags


def _killed(*arguments: object) -> None:
    raise KeyboardInterrupt
