"""Large pictures by windows, against the same picture segmented and measured in one piece."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from PIL import Image

from scnet_edge.bundle.manifest import read_manifest, write_manifest
from scnet_edge.data.pictures import read_picture
from scnet_edge.errors import ConfigError, Incomplete, InputError
from scnet_edge.inspection.measure import measure_cracks
from scnet_edge.orthophoto import features
from scnet_edge.orthophoto.raster import MARGIN_PX, is_raster, open_raster
from scnet_edge.orthophoto.run import Summary, run_orthophoto
from scnet_edge.robot.robot_toml import Robot
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.types import Frame, Mask

rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")
pyogrio = pytest.importorskip("pyogrio", reason="the extra geo is not installed")

TILE_HW, SIZE_HW = (64, 96), (330, 300)
EAST, NORTH, SIDE_M = 500_000.0, 5_400_000.0, 0.002
LEADS_AWAY = {
    "vrt": """<VRTDataset rasterXSize="512" rasterYSize="512">
<VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename relativeToVRT="0">/vsicurl/{url}</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource></VRTRasterBand></VRTDataset>""",
    "wms": """<GDAL_WMS><Service name="TMS"><ServerUrl>{url}</ServerUrl></Service><DataWindow>
<UpperLeftX>-2e7</UpperLeftX><UpperLeftY>2e7</UpperLeftY><LowerRightX>2e7</LowerRightX>
<LowerRightY>-2e7</LowerRightY><TileLevel>1</TileLevel></DataWindow>
<Projection>EPSG:3857</Projection><BandsCount>3</BandsCount></GDAL_WMS>""",
}
Bundle = Callable[[tuple[int, int]], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]


def wall() -> Frame:
    """Return a wall with a level crack, a slanting one and a speck, 4 px wide and apart."""
    frame = np.full((*SIZE_HW, 3), (190, 200, 210), np.uint8)
    cv2.line(frame, (40, 100), (260, 100), (20, 25, 30), 4)
    cv2.line(frame, (60, 140), (200, 320), (20, 25, 30), 4)
    frame[20:23, 250:253] = 10
    return frame


def write(path: Path, frame: Any, **changes: Any) -> Path:
    """Write (h, w, 3) BGR or (bands, h, w) as a GeoTIFF in UTM, 2 mm a pixel."""
    bands = frame[..., ::-1].transpose(2, 0, 1) if frame.shape[-1] == 3 else frame
    profile = {
        "driver": "GTiff",
        "count": len(bands),
        "height": bands.shape[1],
        "width": bands.shape[2],
        "dtype": bands.dtype,
        "crs": "EPSG:32632",
        "transform": rasterio.Affine(SIDE_M, 0, EAST, 0, -SIDE_M, NORTH),
        **changes,
    }
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(bands)
    return path


@pytest.fixture
def bundle(darkness_bundle: Bundle) -> Path:
    return darkness_bundle(TILE_HW)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return write(tmp_path / "wall.tif", wall())


def run(bundle: Path, source: Path, out: Path, **options: Any) -> Summary:
    return run_orthophoto(bundle, Robot(source=str(source)), out, **options)


def mask_of(out: Path) -> tuple[Mask, Mask]:
    """Return crack and inspected of `mask.tif`."""
    with rasterio.open(out / "mask.tif") as dataset:
        return dataset.read(1) > 0, dataset.dataset_mask() > 0


def test_the_mask_is_that_of_the_whole_picture_in_its_place(
    bundle: Path, picture: Path, tmp_path: Path
) -> None:
    summary = run(bundle, picture, tmp_path / "out")
    with Pipeline.open(bundle) as pipeline:
        whole = pipeline(wall()).mask
    crack, inspected = mask_of(tmp_path / "out")
    np.testing.assert_array_equal(crack, whole)
    assert inspected.all()
    assert (summary.crack_px, summary.inspected_px) == (whole.sum(), whole.size)
    with rasterio.open(tmp_path / "out" / "mask.tif") as made, rasterio.open(picture) as given:
        assert (made.crs, made.transform, made.shape) == (given.crs, given.transform, given.shape)


def test_an_area_counts_where_a_part_of_it_is_sure_as_in_one_piece(
    bundle: Path, tmp_path: Path
) -> None:
    """One crack fades across strips and tiles; others are faint all along, or few pixels."""
    frame = np.full((*SIZE_HW, 3), 230, np.uint8)
    down = np.linspace(10, 160, 280)[:, None, None]  # dark above, below the threshold at its end
    frame[20:300, 100:104] = down
    frame[20:300, 200:204] = 90
    frame[310:313, 10:12] = 5  # too few to be sure of
    folder = Path(shutil.copytree(bundle, tmp_path / "seeded"))
    manifest = msgspec.structs.replace(read_manifest(folder), seed=0.9)
    write_manifest(folder, manifest)
    with Pipeline.open(folder) as pipeline:
        whole = pipeline(frame).mask
    assert whole[:, 100:104].any()
    assert not whole[:, 200:204].any()
    run(folder, write(tmp_path / "a.tif", frame), tmp_path / "out")
    np.testing.assert_array_equal(mask_of(tmp_path / "out")[0], whole)


@pytest.mark.parametrize("name", ["cracks.gpkg", "cracks.geojson"])
def test_cracks_are_lines_on_the_map_with_the_figures_of_the_whole(
    bundle: Path, picture: Path, tmp_path: Path, name: str
) -> None:
    summary = run(bundle, picture, tmp_path / "out")
    with Pipeline.open(bundle) as pipeline:
        expected = measure_cracks(pipeline(wall()).mask, frame=wall())
    meta, _, shapes, columns = pyogrio.raw.read(tmp_path / "out" / name)
    assert meta["crs"] == "EPSG:32632"
    rows = [dict(zip(meta["fields"], row, strict=True)) for row in zip(*columns, strict=True)]
    assert summary.cracks == len(rows) == len(expected) == 2
    for crack, row in zip(
        sorted(expected, key=lambda c: c.angle_deg),
        sorted(rows, key=lambda r: r["angle_deg"]),
        strict=True,
    ):
        assert row["length_px"] == pytest.approx(crack.length_px, abs=1e-6)
        assert row["width_mean_px"] == pytest.approx(crack.width_mean_px, abs=1e-6)
        assert row["length_mm"] == pytest.approx(2 * crack.length_px, rel=1e-3)
        box = [row[f"{side}_px"] for side in ("left", "top", "right", "bottom")]
        assert tuple(box) == crack.bbox_xyxy
    level = np.frombuffer(shapes[0][18:], "<f8").reshape(-1, 2)  # behind the heads of one line
    np.testing.assert_allclose(level[:, 1], NORTH - 100.5 * SIDE_M, atol=SIDE_M)
    ends = EAST + np.array([38.5, 262.5]) * SIDE_M
    np.testing.assert_allclose(sorted(level[[0, -1], 0]), ends, atol=2 * SIDE_M)


def test_a_crack_larger_than_a_window_comes_in_pieces(
    bundle: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(bundle, picture, tmp_path / "whole")
    monkeypatch.setattr(features, "PIECE_PX", 90)
    cut = run(bundle, picture, tmp_path / "cut")
    assert cut.cracks == whole.cracks == 2
    assert cut.length_px == pytest.approx(whole.length_px, rel=0.03)
    assert len(pyogrio.raw.read(tmp_path / "cut" / "cracks.gpkg")[2]) > 4


def test_without_a_system_lines_lie_as_programs_lay_the_picture(
    bundle: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), wall())
    summary = run(bundle, tmp_path / "wall.png", tmp_path / "out")
    assert (summary.crs, summary.mm_per_px, summary.length_mm) == ("", None, None)
    shapes = pyogrio.raw.read(tmp_path / "out" / "cracks.gpkg")[2]
    level = np.frombuffer(shapes[0][18:], "<f8").reshape(-1, 2)
    np.testing.assert_allclose(level[:, 1], -100.5, atol=1)  # column, minus row
    np.testing.assert_allclose(sorted(level[[0, -1], 0]), [38.5, 262.5], atol=2)
    assert not (tmp_path / "out" / "cracks.geojson").exists()


WORLD = "0,002\n0.0005\n0.0004\n-0.002\n691000,25\n5333999.75\n"


@pytest.mark.parametrize("name", ["wall.jgw", "wall.JPGW", "wall.wld"])
def test_a_world_file_places_what_is_found(bundle: Path, tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / "wall.jpg"), wall())
    assert not is_raster(str(tmp_path / "wall.jpg"))
    (tmp_path / name).write_text(WORLD, encoding="ascii")
    assert is_raster(str(tmp_path / "wall.jpg"))
    summary = run(bundle, tmp_path / "wall.jpg", tmp_path / "out")
    assert (summary.crs, summary.mm_per_px) == ("", None)
    (tmp_path / "wall.jgw").write_text(WORLD.replace(",", "."), encoding="ascii")
    with (
        rasterio.open(tmp_path / "wall.jpg") as gdal,
        rasterio.open(tmp_path / "out" / "mask.tif") as made,
    ):
        np.testing.assert_allclose(made.transform, gdal.transform, rtol=1e-12)
        assert made.crs is None
    bounds = pyogrio.read_info(tmp_path / "out" / "cracks.gpkg", force_total_bounds=True)
    x_first, y_first, x_last, y_last = bounds["total_bounds"]
    assert 691000 < x_first < x_last < 691001
    assert 5333999 < y_first < y_last < 5334001


def test_a_tiff_may_have_a_place_without_a_system(bundle: Path, tmp_path: Path) -> None:
    picture = write(tmp_path / "a.tif", wall(), crs=None)
    assert is_raster(str(picture))
    run(bundle, picture, tmp_path / "out")
    with rasterio.open(tmp_path / "out" / "mask.tif") as made, rasterio.open(picture) as given:
        assert (made.crs, made.transform) == (None, given.transform)


@pytest.mark.parametrize("text", ["", "1 0 0 1 5", "1 0 0 1 5 north", "1 0 0 0 5 5"])
def test_a_world_file_without_a_place_is_one_line(bundle: Path, tmp_path: Path, text: str) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), wall())
    (tmp_path / "wall.pgw").write_text(text, encoding="ascii")
    with pytest.raises(InputError, match=r"six numbers|leads to no place"):
        run(bundle, tmp_path / "wall.png", tmp_path / "out")


def test_what_holds_no_data_is_not_inspected(bundle: Path, tmp_path: Path) -> None:
    frame = wall()
    frame[:, :80] = 0  # black, which this bundle takes for a crack
    bands = np.concatenate([frame[..., ::-1].transpose(2, 0, 1), np.full((1, *SIZE_HW), 255)])
    bands[3, :, :80] = 0
    picture = write(tmp_path / "a.tif", bands.astype(np.uint8), photometric="RGB", alpha="yes")
    summary = run(bundle, picture, tmp_path / "out")
    crack, inspected = mask_of(tmp_path / "out")
    assert not crack[:, : 80 + MARGIN_PX].any()
    np.testing.assert_array_equal(np.nonzero(inspected.all(axis=0))[0], range(84, 300))
    assert not inspected[:, :84].any()
    assert summary.inspected_px == SIZE_HW[0] * (300 - 84)


def test_what_is_drawn_to_be_ignored_is_not_inspected(
    bundle: Path, picture: Path, tmp_path: Path
) -> None:
    robot = Robot(source=str(picture), ignore=(((0, 90), (299, 90), (299, 119), (0, 119)),))
    summary = run_orthophoto(bundle, robot, tmp_path / "out")
    crack, inspected = mask_of(tmp_path / "out")
    assert not crack[90:120].any()
    assert not inspected[90:120].any()
    assert inspected[:90].all()
    assert inspected[120:].all()
    assert summary.cracks == 1


def test_nothing_to_inspect_is_one_line(bundle: Path, tmp_path: Path) -> None:
    picture = write(tmp_path / "empty.tif", np.zeros((1, *SIZE_HW), np.uint8), nodata=0)
    with pytest.raises(InputError, match="nothing to inspect"):
        run(bundle, picture, tmp_path / "out")


def test_a_stopped_run_goes_on_and_gives_the_same(
    bundle: Path, picture: Path, tmp_path: Path
) -> None:
    run(bundle, picture, tmp_path / "whole")
    stop, told = threading.Event(), list[tuple[int, int]]()

    def stop_at_three(done: int, total: int) -> None:
        if done == 3:
            stop.set()

    with pytest.raises(Incomplete, match="stopped after 3 of"):
        run(bundle, picture, tmp_path / "out", stop=stop, progress=stop_at_three)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"parts"}
    run(bundle, picture, tmp_path / "out", progress=lambda *at: told.append(at))
    assert told[0][0] == 3
    for name in ("mask.tif", "cracks.geojson", "overview.jpg", "summary.json"):
        whole, resumed = (tmp_path / folder / name for folder in ("whole", "out"))
        assert resumed.read_bytes() == whole.read_bytes()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {path.name for path in (tmp_path / "whole").iterdir()}


def test_strips_of_other_work_are_not_gone_on_with(
    bundle: Path, picture: Path, tmp_path: Path
) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Incomplete):
        run(bundle, picture, tmp_path / "out", stop=stop)
    robot = Robot(source=str(picture), ignore=(((0, 0), (9, 0), (9, 9)),))
    with pytest.raises(ConfigError, match="strips of another"):
        run_orthophoto(bundle, robot, tmp_path / "out")
    run_orthophoto(bundle, robot, tmp_path / "out", overwrite=True)
    with pytest.raises(ConfigError, match="not empty"):
        run_orthophoto(bundle, robot, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"notes\.txt"):
        run_orthophoto(bundle, robot, tmp_path / "out", overwrite=True)


def test_an_older_result_stays_until_there_is_another(
    bundle: Path, picture: Path, tmp_path: Path
) -> None:
    out, stop = tmp_path / "out", threading.Event()
    run(bundle, picture, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    bare = write(tmp_path / "bare.tif", wall() // 2 + 100, crs=None)
    stop.set()
    with pytest.raises(Incomplete):
        run(bundle, bare, out, overwrite=True, stop=stop)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    run(bundle, bare, out)
    assert {path.name for path in out.iterdir()} == {*before} - {"cracks.geojson"}
    assert json.loads((out / "summary.json").read_bytes())["crs"] == ""


def test_a_list_of_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.vrt").touch()
    with pytest.raises(InputError, match="gdal_translate"):
        is_raster(str(tmp_path / "a.vrt"))


@pytest.mark.parametrize("suffix", [".vrt", ".tif", ".png"])
@pytest.mark.parametrize("form", ["vrt", "wms"])
def test_no_file_leads_to_another_machine(suffix: str, form: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.tif"
        path = tmp_path / f"a{suffix}"
        path.write_text(LEADS_AWAY[form].format(url=url))
        with pytest.raises(InputError), open_raster(path) as raster:
            raster.frame(slice(0, 64), slice(0, 64))
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    ("size_hw", "blocks", "expected"),
    [
        ((64, 2_000_000_000), {}, "sides of at most"),
        ((250_000, 250_000), {"tiled": True}, "20 gigapixels"),
        (
            (65_536, 65_536),
            {"tiled": True, "blockxsize": 65_536, "blockysize": 65_536},
            "blocks of",
        ),
    ],
)
def test_a_few_bytes_that_claim_any_size_are_refused(
    size_hw: tuple[int, int], blocks: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    height_px, width_px = size_hw
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "sparse_ok": True, **blocks}
    profile["transform"] = rasterio.Affine(2, 0, 0, 0, -2, 0)
    path = tmp_path / "a.tif"
    rasterio.open(path, "w", height=height_px, width=width_px, **profile).close()
    assert path.stat().st_blocks * 512 < 64 * 2**20
    with pytest.raises(InputError, match=expected), open_raster(path):
        pass


@pytest.mark.parametrize(
    ("crs", "north", "mm_per_px"),
    [
        ("EPSG:3857", 6_274_861.394, 2 * np.cos(np.radians(49.0))),
        ("EPSG:4326", 49.0, None),
        ('LOCAL_CS["bridge",UNIT["metre",1]]', 0.0, 2.0),
        ('LOCAL_CS["bridge",UNIT["foot",0.3048]]', 0.0, 0.6096),
    ],
)
def test_millimetres_are_those_on_the_ground(
    tmp_path: Path, crs: str, north: float, mm_per_px: float | None
) -> None:
    transform = rasterio.Affine(SIDE_M, 0, 9.0, 0, -SIDE_M, north)
    picture = write(tmp_path / "a.tif", wall(), crs=crs, transform=transform)
    with open_raster(picture) as raster:
        assert raster.mm_per_px == (None if mm_per_px is None else pytest.approx(mm_per_px, 1e-3))


@pytest.mark.parametrize(
    "transform",
    [
        (float("nan"), 0, EAST, 0, -SIDE_M, NORTH),
        (float("inf"), 0, EAST, 0, -SIDE_M, NORTH),
        (1e300, 0, 1e308, 0, -1e300, 1e308),
        (SIDE_M, SIDE_M, EAST, SIDE_M, SIDE_M, NORTH),
    ],
)
def test_a_transform_that_leads_nowhere_is_refused(
    transform: tuple[float, ...], tmp_path: Path
) -> None:
    picture = write(tmp_path / "a.tif", wall(), transform=rasterio.Affine(*transform))
    with (
        pytest.raises(InputError, match=r"a\.tif: its transform \[.*\] leads to no place on the"),
        open_raster(picture),
    ):
        pass


def test_a_picture_that_lies_upside_down_and_turned_keeps_its_millimetres(tmp_path: Path) -> None:
    transform = rasterio.Affine(-SIDE_M, 0, EAST, 0, -SIDE_M, NORTH) * rasterio.Affine.rotation(30)
    with open_raster(write(tmp_path / "a.tif", wall(), transform=transform)) as raster:
        assert raster.mm_per_px == pytest.approx(2.0, 1e-2)


def test_samples_become_eight_bits(tmp_path: Path) -> None:
    grey = wall()[..., 0]
    everything = slice(0, SIZE_HW[0]), slice(0, SIZE_HW[1])

    def read(bands: Any, **changes: Any) -> Frame:
        with open_raster(write(tmp_path / "a.tif", bands, **changes)) as raster:
            return raster.frame(*everything)

    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(read(grey[None]), expected)
    np.testing.assert_array_equal(read(grey[None].astype(np.uint16) << 4), expected)
    np.testing.assert_array_equal(read(grey[None].astype(np.uint16) << 8), expected)
    bordered = grey[None].astype(np.uint16) << 4
    bordered[:, :, :50] = 65535  # not the largest value of 12 bits
    np.testing.assert_array_equal(read(bordered, nodata=65535)[:, 50:], expected[:, 50:])
    stated = read(grey[None].astype(np.uint16) // 2 << 2, nbits=10)  # dark, not of 9 bits
    np.testing.assert_array_equal(stated, expected // 2)
    five = np.stack([wall()[..., 2], wall()[..., 1], grey, grey // 2, grey // 3])
    np.testing.assert_array_equal(read(five), wall())
    with pytest.raises(InputError, match="expected bands of 8 or 16 bits, found float32"):
        read(grey[None].astype(np.float32))


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    picture = write(tmp_path / "a.tif", (wall()[..., 0] > 100).astype(np.uint8)[None])
    with rasterio.open(picture, "r+") as dataset:
        dataset.write_colormap(1, {0: (10, 20, 30), 1: (200, 150, 100)})
    with open_raster(picture) as raster:
        frame = raster.frame(slice(99, 102), slice(0, 300))
    assert frame[1, 100].tolist() == [30, 20, 10]
    assert frame[1, 0].tolist() == [100, 150, 200]


def test_damage_names_the_rows(bundle: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1, *SIZE_HW), np.uint8)
    picture = write(
        tmp_path / "a.tif", noise, compress="deflate", tiled=True, blockxsize=64, blockysize=64
    )
    data = bytearray(picture.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    picture.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tif: (damaged at rows|GDAL cannot read it)"):
        run(bundle, picture, tmp_path / "out")
    with open_raster(picture) as raster, pytest.raises(InputError, match="damaged at rows 0 to"):
        raster.small(64)


def test_which_sources_are_read_by_windows(tmp_path: Path, picture: Path) -> None:
    Image.new("L", (300, 200)).save(tmp_path / "plain.tif")
    Image.new("1", (20_000, 5_001)).save(tmp_path / "large.png")
    write(tmp_path / "big.tif", wall(), bigtiff="yes")
    assert is_raster(str(picture))
    assert is_raster(str(tmp_path / "large.png"))
    assert is_raster(str(tmp_path / "big.tif"))
    for other in (tmp_path / "plain.tif", tmp_path, tmp_path / "none.tif", "rtsp://a/b", ""):
        assert not is_raster(str(other))


@pytest.mark.parametrize("kind", ["uint16", "float32"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_an_orthophoto_that_pillow_does_not_know_is_one(
    tmp_path: Path, kind: str, interleave: str
) -> None:
    bands = np.stack([wall()[..., 0]] * 3).astype(kind)
    picture = write(tmp_path / "a.tif", bands, interleave=interleave)
    with pytest.raises(InputError):
        read_picture(picture)
    assert is_raster(str(picture))


def test_a_coloured_orthophoto_of_16_bits_gives_the_mask_of_one_of_8(
    command_line: Run, bundle: Path, picture: Path, tmp_path: Path
) -> None:
    deep = write(tmp_path / "deep.tif", wall()[..., ::-1].transpose(2, 0, 1).astype("u2") << 8)
    done = command_line("run", str(bundle), "--source", str(deep), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    run(bundle, picture, tmp_path / "eight")
    np.testing.assert_array_equal(mask_of(tmp_path / "out"), mask_of(tmp_path / "eight"))


def test_a_photograph_on_its_side_is_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("L", (40, 30)).save(tmp_path / "side.jpg", exif=exif)
    with pytest.raises(InputError, match="stored on its side"), open_raster(tmp_path / "side.jpg"):
        pass


def test_the_command(command_line: Run, bundle: Path, picture: Path, tmp_path: Path) -> None:
    common = ("run", str(bundle), "--source", str(picture))
    done = command_line(*common, "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "2 mm" in done.stdout
    assert "cracks.gpkg" in done.stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert (summary["cracks"], summary["width_px"], summary["height_px"]) == (2, 300, 330)
    for wrong in (["--scale", "auto", "--out", "o"], [], ["--out", "o", "--frames", "3"]):
        refused = command_line(*common, *wrong)
        assert refused.returncode == 1
        assert len(refused.stderr.splitlines()) == 1
