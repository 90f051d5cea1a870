"""What the commands are given: made here, small, without a data set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import rasterio

from scnet_edge.files import write_image
from scnet_edge.survey.evidence import read_crack_mask
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.review import review_record

CODING = """<DATA><HG><HG001>1</HG001><HG307>300</HG307><HI><HI101>G</HI101><HI116>a.mp4</HI116>
<HZ><HZ001>0.1</HZ001><HZ002>BAB</HZ002><HZ008>00:00:00</HZ008></HZ>
<HZ><HZ001>0.4</HZ001><HZ002>BAB</HZ002><HZ008>00:00:03</HZ008></HZ>
<HZ><HZ001>0.7</HZ001><HZ002>BAB</HZ002><HZ008>00:00:06</HZ008></HZ>
</HI></HG></DATA>"""
SUITE = """models = ["scnet-tiny"]
sizes_hw = [[96, 128]]
rounds = 1
round_s = 0.1
frames = 4
images = 1
contenders = [
    { engine = "openvino", precision = "fp32" },
    { engine = "onnxruntime", precision = "fp32" },
]
"""


def draw_data(folder: Path) -> Path:
    """Draw a small data set of images and masks."""
    rng = np.random.default_rng(3)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(12):
        image, mask = rng.integers(100, 160, (96, 128, 3), np.uint8), np.zeros((96, 128), np.uint8)
        cv2.line(mask, (5, 5 + 5 * i), (120, 90 - 4 * i), 255, 3)
        image[mask > 0] = 30
        write_image(folder / "images" / f"{i:02}.png", image)
        write_image(folder / "masks" / f"{i:02}.png", mask)
    return folder


def write_corpus(path: Path, data: Path) -> Path:
    """Write a corpus of one drawn set: a training of its own would draw pipes for a minute."""
    path.write_text(
        'licence = "drawn"\n[[set]]\nname = "lines"\nshare = 1\nlicence = "drawn"\n'
        f'data = "folder:{data}"\n',
        encoding="utf-8",
    )
    return path


def draw_mask(path: Path) -> Path:
    """Draw the mask of one crack."""
    mask = np.zeros((480, 640), np.uint8)
    cv2.line(mask, (20, 30), (600, 400), 255, 5)
    write_image(path, mask)
    return path


def draw_orthophoto(path: Path) -> Path:
    """Draw a wall of some twenty windows with two cracks, as a GeoTIFF."""
    frame = np.random.default_rng(4).integers(150, 200, (320, 480, 3), np.uint8)
    for ends in (((20, 50), (450, 90)), ((45, 120), (400, 300))):
        cv2.line(frame, *ends, (20, 25, 30), 4)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=3,
        height=frame.shape[0],
        width=frame.shape[1],
        dtype="uint8",
        crs="EPSG:32632",
        transform=rasterio.Affine(0.002, 0, 500_000, 0, -0.002, 5_400_000),
    ) as picture:
        picture.write(frame[..., ::-1].transpose(2, 0, 1))
    return path


def draw_boards(folder: Path) -> Path:
    """Draw pictures of a checkerboard of 8 x 5 inner corners, as a camera sees it tilted."""
    folder.mkdir()
    random = np.random.default_rng(2)
    squares = np.full((8, 11), 255, np.uint8)
    squares[1:-1, 1:-1] = 255 * (np.indices((6, 9)).sum(axis=0) % 2)
    board = np.kron(squares, np.ones((40, 40), np.uint8))
    corners = np.array([(0, 0), (440, 0), (440, 320), (0, 320)], np.float32)
    flat = np.column_stack([corners - (220, 160), np.zeros(4)])
    camera = np.array([(600.0, 0, 320), (0, 600, 240), (0, 0, 1)])
    for i in range(8):
        tilt, away = random.uniform(-0.5, 0.5, 3), np.array([0.0, 0, random.uniform(600, 800)])
        seen, _ = cv2.projectPoints(flat, tilt, away, camera, np.zeros(5))
        turn = cv2.getPerspectiveTransform(corners, seen.reshape(4, 2).astype(np.float32))
        picture = cv2.warpPerspective(board, turn, (640, 480), borderValue=(255,))
        write_image(folder / f"{i}.png", np.repeat(picture[..., None], 3, axis=2))
    return folder


def correct_masks(survey: Path, masks: Path) -> Path:
    """Write each record's mask with a corner drawn in, as another program would."""
    masks.mkdir()
    for observation in read_survey(survey).observations:
        drawn = read_crack_mask(survey, observation)
        assert drawn is not None
        drawn[:9, :9] = True
        write_image(masks / f"{observation.seq:06d}.png", drawn.astype(np.uint8) * 255)
    return masks


def accept_all(survey: Path) -> None:
    """Accept every record."""
    for observation in read_survey(survey).observations:
        review_record(survey, observation.seq, verdict="accepted")
