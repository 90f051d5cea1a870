"""One sound input for each target, to begin from."""

from __future__ import annotations

import io
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Literal

import av
import cv2
import msgspec
import numpy as np
from mcap.writer import CompressionType, Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as BagWriter

from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.folder import Done, Job
from scnet_edge.archive.manifest import ArchiveManifest, ManifestRow, write_manifest
from scnet_edge.bundle.signing import new_key
from scnet_edge.engines.compiled import CompiledEngine, CompiledGraph
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.journal import Journal
from scripts.fuzz.targets import BAG, FACTS, STORE

ROOT = Path(__file__).parents[2]
COCO = (
    b'{"images":[{"id":1,"file_name":"a.png","height":8,"width":9}],"annotations":[{"image_id":1,'
    b'"id":1,"category_id":1,"segmentation":[[1,1,5,1,5,5]]},{"image_id":1,"segmentation":'
    b'{"counts":"PT1","size":[8,9]}},{"image_id":1,"segmentation":{"counts":[3,69]}}],'
    b'"categories":[{"id":1,"name":"crack"}]}'
)


CORPUS = b'licence = "x"\n[[set]]\nname = "a"\ndata = "flat:a"\nshare = 1\nlicence = "x"\n'
LABEL_STUDIO = (
    b'[{"file_upload":"1-000001.jpg","annotations":[{"result":[{"type":"polygonlabels",'
    b'"original_width":9,"original_height":8,"value":{"points":[[0,0],[50,0],[50,50]]}}]}]}]'
)
LABELME = (
    b'{"shapes":[{"label":"crack","points":[[1,1],[5,1],[5,5]],"shape_type":"polygon"}],'
    b'"imagePath":"000001.jpg","imageHeight":8,"imageWidth":9}'
)
ISYBAU = (
    b'<Identifikation xmlns="u"><Datenkollektive><Zustandsdatenkollektiv>'
    b"<InspizierteAbwassertechnischeAnlage><Objektbezeichnung>1</Objektbezeichnung>"
    b"<OptischeInspektion><Rohrleitung><Inspektionsdaten><RZustand><Station>4,2</Station>"
    b"<InspektionsKode>BAB</InspektionsKode><Timecode>00010500</Timecode>"
    b"<Streckenschaden>A</Streckenschaden><PositionVon>12</PositionVon></RZustand>"
    b"</Inspektionsdaten></Rohrleitung></OptischeInspektion>"
    b"</InspizierteAbwassertechnischeAnlage></Zustandsdatenkollektiv></Datenkollektive>"
    b"</Identifikation>"
)
M150 = (
    b"<DATA><HG><HG001>1</HG001><HG307>300</HG307><HI><HI101>G</HI101><HI116>a.mpg</HI116><HZ>"
    b"<HZ001>4.2</HZ001><HZ002>BAB</HZ002><HZ005>A1</HZ005><HZ008>00:01:05</HZ008></HZ></HI></HG>"
    b"</DATA>"
)
IBAK = (
    b"100-200\r\n\t00:01:05  4.20 m  BABBA  Riss, Anfang (1)@!$ibak$!\r\n"
    b"\t  6,70 m  BABBA  Riss, Ende (1)\r\n"
)
PACP = (
    b"InspectionID,Pipe_Segment_Reference,Direction,Length_Surveyed,IsImperial\n7,1-2,U,9.5,1\n\f"
    b"ConditionID,InspectionID,Distance,PACP_Code,Continuous,VCR_Time\n1,7,1.5,CL,S01,000105\n\f"
    b"InspectionID,Video_Name,Video_Location\n7,a.mpg,V\n\f"
    b"ConditionID,Image_Reference,Image_Path\n1,a.jpg,\n"
)
WINCAN = """
CREATE TABLE NODE (OBJ_PK TEXT, OBJ_Key TEXT);
CREATE TABLE SECTION (OBJ_PK TEXT, OBJ_Key TEXT, OBJ_Size1 REAL, OBJ_Deleted TEXT);
INSERT INTO SECTION VALUES ('s', '100-200', 300, NULL);
CREATE TABLE SECINSP (INS_PK TEXT, INS_Section_FK TEXT, INS_InspectionDir TEXT);
INSERT INTO SECINSP VALUES ('i', 's', '2');
CREATE TABLE SECOBS (OBS_PK TEXT, OBS_Inspection_FK TEXT, OBS_Distance REAL, OBS_OpCode TEXT);
INSERT INTO SECOBS VALUES ('o', 'i', 4.2, 'BABBA');
CREATE TABLE SECOBSMM (OMM_Observation_FK TEXT, OMM_FileName TEXT, OMM_Type TEXT);
INSERT INTO SECOBSMM VALUES ('o', 'a.mpg', 'VI1');
"""


def _npz(**arrays: object) -> bytes:
    made = io.BytesIO()
    np.savez_compressed(made, **arrays)  # type: ignore[arg-type]
    return made.getvalue()


def _mcap(*, checksums: bool) -> bytes:
    """Return a small file; without checksums, a change gets behind them."""
    made = io.BytesIO()
    writer = Writer(made, chunk_size=64, compression=CompressionType.NONE, enable_crcs=checksums)
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


def _wincan() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.db3"
        with closing(sqlite3.connect(path)) as db, db:
            db.executescript(f"PRAGMA page_size = 512; {WINCAN}")
        return path.read_bytes()


def _manifest() -> bytes:
    inspection = CodedInspection(system="m150", pipe="1", conditions=(Condition(code="BAB"),))
    row = ManifestRow(path_bytes=b"a.mpg", kind="film", state="matched", inspection=inspection)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive.parquet"
        write_manifest(path, ArchiveManifest(root=Path("/films"), rows=(row,)))
        return path.read_bytes()


def _ros_messages() -> dict[str, bytes]:
    """Return a message of each type that is taken, by its type."""
    kinds, none = STORE.types, np.zeros(36)
    time = kinds["builtin_interfaces/msg/Time"](sec=1, nanosec=2)
    head = kinds["std_msgs/msg/Header"](stamp=time, frame_id="c")
    picture = np.frombuffer(_image(".jpg"), np.uint8)
    zero = kinds["geometry_msgs/msg/Vector3"](x=0.0, y=0.0, z=0.0)
    pose = kinds["geometry_msgs/msg/Pose"](
        position=kinds["geometry_msgs/msg/Point"](x=1.0, y=0.0, z=0.0),
        orientation=kinds["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
    )
    twist = kinds["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
    made = [
        kinds["sensor_msgs/msg/CompressedImage"](header=head, format="jpeg", data=picture),
        kinds["sensor_msgs/msg/Image"](head, 16, 16, "mono8", 0, 16, np.zeros(256, np.uint8)),
        kinds["nav_msgs/msg/Odometry"](
            head,
            "base",
            kinds["geometry_msgs/msg/PoseWithCovariance"](pose, none),
            kinds["geometry_msgs/msg/TwistWithCovariance"](twist, none),
        ),
    ]
    return {m.__msgtype__: bytes(STORE.serialize_cdr(m, m.__msgtype__)) for m in made}


def _bag() -> bytes:
    kind, data = next(iter(_ros_messages().items()))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "bag"
        with BagWriter(place, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connection = writer.add_connection("/i", kind, typestore=STORE)
            for at_ns in (1, 2):
                writer.write(connection, at_ns, data)
        return next(place.glob("*.mcap")).read_bytes()


def _image(suffix: str) -> bytes:
    return cv2.imencode(suffix, np.full((16, 16, 3), 90, np.uint8))[1].tobytes()


def _of_repository(name: str) -> bytes:
    return (ROOT / name).read_bytes()


def _graph() -> bytes:
    """Return a graph of one node and one weight."""
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in ("x", "y")]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, 4.0])
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [weight])
    return bytes(helper.make_model(graph).SerializeToString())


def _film(form: str, codec: Literal["mjpeg", "mpeg2video"]) -> bytes:
    """Return a film of eight small pictures."""
    made = io.BytesIO()
    with av.open(made, "w", format=form) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for i in range(8):
            picture = np.full((48, 64, 3), 30 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return made.getvalue()


def _geotiff() -> bytes:
    """Return a small orthophoto in tiles, with an overview."""
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.transform import from_origin

    options = {"width": 96, "height": 80, "count": 3, "dtype": "uint8", "crs": "EPSG:25832"}
    tiles = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}
    with MemoryFile() as file:
        place = from_origin(5e5, 6e6, 0.01, 0.01)
        with file.open(driver="GTiff", transform=place, **options, **tiles) as dataset:
            dataset.write(np.full((3, 80, 96), 90, np.uint8))
            dataset.build_overviews([2], rasterio.enums.Resampling.nearest)
        return bytes(file.read())


def _key(*, private: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        public = new_key(Path(folder) / "maker.pem")
        return (public.with_suffix(".pem") if private else public).read_bytes()


@cache
def seeds() -> dict[str, list[bytes]]:
    """Return the inputs by target."""
    golden = {
        "frames": np.zeros((1, 2, 2, 3), np.uint8),
        "probability": np.zeros((1, 2, 2), np.float32),
    }
    facts = msgspec.json.encode(FACTS)
    compiled = CompiledEngine(
        schema=1,
        engine="openvino",
        identity={"openvino": "2026"},
        graphs={"model.onnx": CompiledGraph(graph_sha256="00")},
        files={"model.blob": "00"},
        created="2026",
    )
    names = ",".join(f'"{name}":1' for name in Observation.__struct_fields__).encode()
    return {
        "address": [
            b"rtsp://a:b c@h:1/p?token=x",
            b'gst:rtspsrc location="rtsp://a:b@h" user-pw="x" ! appsink',
            b"csi://0?width=640",
            b"ros2://a:b@h/t?domain=7&router=tcp/h:7447",
            b"mqtt:a:b@h/t",
        ],
        "annotations": [COCO, LABEL_STUDIO, LABELME],
        "archive-done": [msgspec.json.encode(Done(film="a", path="a.mpg", state="inspected"))],
        "archive-header": [b"\0\0\1\xba", b"\0\0\0\x08free\0\0\0\x08moov", b"G" * 600],
        "archive-ibak": [IBAK],
        "archive-job": [msgspec.json.encode(Job(root="/films", bundle="b", sha256="00"))],
        "archive-manifest": [_manifest()],
        "archive-pacp": [PACP, PACP.replace(b",", b";")],
        "archive-wincan": [_wincan()],
        "archive-xml": [ISYBAU, M150],
        "arrays": [_npz(a=np.arange(5), b=np.ones((2, 2)))],
        "bench-result": [_of_repository("benchmarks/results/speed/h100.json")],
        "bench-suite": [
            _of_repository(f"benchmarks/{name}.toml") for name in ("chain", "sizes", "gpu_brief")
        ],
        "card": [_of_repository("weights/scnet-small-hed.json")],
        "coco": [COCO],
        "codes": [b'[limits."x"]\nwidth_mm = 0.3\n'],
        "compiled": [msgspec.json.encode(compiled)],
        "corpus": [CORPUS],
        "facts": [facts],
        "film-avi": [_film("avi", "mjpeg")],
        "film-mkv": [_film("matroska", "mjpeg")],
        "film-mpg": [_film("mpeg", "mpeg2video")],
        "film-ts": [_film("mpegts", "mpeg2video")],
        "golden": [_npz(**golden)],
        "graph": [_graph()],
        "headers": [b"[::1]:80\nhttp://[::1]:80", b"localhost\nnull", b"evil@h\nhttp://["],
        "ignore": [b"ignore = [[[0, 0], [0.5, 0], [0.5, 0.5]], [[1, 1], [30, 1], [30, 20]]]\n"],
        "image": [_image(suffix) for suffix in (".png", ".jpg", ".bmp", ".webp", ".tif")],
        "journal": [_journal()],
        "jsonl": [b'{"a":1}\n{"b":[1,2]}\n{"c":', b'{"a":"\xff"}\n[1]\n'],
        "keys": [_key(private=True), _key(private=False)],
        "labelme": [LABELME],
        "lens": [b"fx = 400.0\nfy = 400.0\ncx = 1\ncy = 1\nwidth_px = 8\nheight_px = 8\n"],
        "live-address": [b"[::1]:80", b":9000", b"host"],
        "manifest": [b'{"schema":1,"files":{"a":"b"},"model":{"name":"m"}}'],
        "mcap": [_mcap(checksums=True), _mcap(checksums=False)],
        "odometry-address": [b"osd://560,20,140,32?unit=ft", b"speed://0.2mps"],
        "odometry-csv": [b"time_s,chainage_m,roll_deg\n0,0,0\n1,0.5,\n"],
        "odometry-jsonl": [b'{"frame_id":1,"chainage_m":0}\n{"frame_id":2,"chainage_m":1}\n'],
        "picture-file": [_geotiff(), *(_image(s) for s in (".tif", ".png", ".jpg", ".bmp"))],
        "pipe-toml": [b'mode = "side"\ndiameter_mm = 300\nfx = 400.0\n[a.b]\nc = {d = 1}\n'],
        "ranges": [_of_repository("calibration/scnet-tiny.toml")],
        "raster": [_geotiff()],
        "reading": [b"1.5,-2", b'{"chainage_m":1,"roll_deg":2}'],
        "recipe": [_of_repository("export/scnet-small.toml")],
        "ros-message": list(_ros_messages().values()),
        "rosbag": [_bag()],
        "rosbag-metadata": [BAG.encode()],
        "robot-toml": [b'source = "csi://0"\nsinks = ["jsonl:a"]\nlate_ms = 250\n'],
        "sidecars": [b"{" + names + b"}"],
        "state": [b'{"engines":{"openvino":{"active":"openvino-1"}},"bad":{"a":"b"}}'],
        "survey-rows": [facts + b"\n{" + names + b"}"],
        "toml": [b'a.b."c" = [1, {d = 2}]\n[[x]]\ny = 1979-05-27T07:32:00Z\n'],
        "torn-tail": [b'{"a":1}\n{"b"', b"\0\0\0"],
        "training-log": [b'{"step":1,"loss":0.5}\n{"step":2'],
        "truth": [_npz(masks=np.zeros(2, np.uint8), shape=np.array([1, 4, 4]))],
        "words": [b"f1:0.005", b"0012.45 m\n12,50m\nL 3.4"],
    }
