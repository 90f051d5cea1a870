"""One sound input for each target, to begin from."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import cv2
import msgspec
import numpy as np
from mcap.writer import CompressionType, Writer

from scnet_edge.inspection.records import Observation
from scnet_edge.survey.facts import BundleIdentity, Facts
from scnet_edge.survey.journal import Journal

FACTS = Facts(
    survey_id="a",
    created="2026-01-01T00:00:00+00:00",
    source="clip.mp4",
    mode="side",
    bundle=BundleIdentity(model="m", precision="int8", threshold=0.5, sha256="00"),
    engine="openvino",
    machine="pc",
    version="0.3",
    geometry={"diameter_mm": 300.0, "fx": 400.0, "distortion": [0.1]},
)
COCO = (
    b'{"images":[{"id":1,"file_name":"a.png","height":8,"width":9}],"annotations":[{"image_id":1,'
    b'"id":1,"category_id":1,"segmentation":[[1,1,5,1,5,5]]},{"image_id":1,"segmentation":'
    b'{"counts":"PT1","size":[8,9]}},{"image_id":1,"segmentation":{"counts":[3,69]}}],'
    b'"categories":[{"id":1,"name":"crack"}]}'
)


def _npz(**arrays: object) -> bytes:
    made = io.BytesIO()
    np.savez_compressed(made, **arrays)  # type: ignore[arg-type]
    return made.getvalue()


def _mcap() -> bytes:
    made = io.BytesIO()
    writer = Writer(made, chunk_size=64, compression=CompressionType.NONE)
    writer.start(library="seed")
    schema = writer.register_schema("s", "jsonschema", b"{}")
    channel = writer.register_channel("/t", "json", schema)
    for i in range(6):
        writer.add_message(channel, i, b'{"a": 1}', i)
    writer.finish()
    return made.getvalue()


def _journal() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with Journal(Path(folder), FACTS):
            pass
        return (Path(folder) / "survey.db").read_bytes()


def _image(suffix: str) -> bytes:
    return cv2.imencode(suffix, np.full((16, 16, 3), 90, np.uint8))[1].tobytes()


def seeds() -> dict[str, list[bytes]]:
    """Return the inputs by target."""
    golden = {
        "frames": np.zeros((1, 2, 2, 3), np.uint8),
        "probability": np.zeros((1, 2, 2), np.float32),
    }
    facts = msgspec.json.encode(FACTS)
    names = ",".join(f'"{name}":1' for name in Observation.__struct_fields__).encode()
    return {
        "address": [
            b"rtsp://a:b c@h:1/p?token=x",
            b'gst:rtspsrc location="rtsp://a:b@h" user-pw="x" ! appsink',
            b"csi://0?width=640",
            b"mqtt:a:b@h/t",
        ],
        "arrays": [_npz(a=np.arange(5), b=np.ones((2, 2)))],
        "coco": [COCO],
        "codes": [b'[limits."x"]\nwidth_mm = 0.3\n'],
        "facts": [facts],
        "golden": [_npz(**golden)],
        "headers": [b"[::1]:80\nhttp://[::1]:80", b"localhost\nnull", b"evil@h\nhttp://["],
        "image": [_image(suffix) for suffix in (".png", ".jpg", ".bmp", ".webp", ".tif")],
        "journal": [_journal()],
        "jsonl": [b'{"a":1}\n{"b":[1,2]}\n{"c":', b'{"a":"\xff"}\n[1]\n'],
        "live-address": [b"[::1]:80", b":9000", b"host"],
        "manifest": [b'{"schema":1,"files":{"a":"b"},"model":{"name":"m"}}'],
        "mcap": [_mcap()],
        "odometry-csv": [b"time_s,chainage_m,roll_deg\n0,0,0\n1,0.5,\n"],
        "odometry-jsonl": [b'{"frame_id":1,"chainage_m":0}\n{"frame_id":2,"chainage_m":1}\n'],
        "pipe-toml": [b'mode = "side"\ndiameter_mm = 300\nfx = 400.0\n[a.b]\nc = {d = 1}\n'],
        "reading": [b"1.5,-2", b'{"chainage_m":1,"roll_deg":2}'],
        "robot-toml": [b'source = "csi://0"\nsinks = ["jsonl:a"]\nlate_ms = 250\n'],
        "state": [b'{"engines":{"openvino":{"active":"openvino-1"}},"bad":{"a":"b"}}'],
        "survey-rows": [facts + b"\n{" + names + b"}"],
        "toml": [b'a.b."c" = [1, {d = 2}]\n[[x]]\ny = 1979-05-27T07:32:00Z\n'],
        "torn-tail": [b'{"a":1}\n{"b"', b"\0\0\0"],
        "truth": [_npz(masks=np.zeros(2, np.uint8), shape=np.array([1, 4, 4]))],
    }
