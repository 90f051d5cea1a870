"""A large picture or an orthophoto, read window by window by rasterio (GDAL), and its mask.

The bands become 8-bit BGR. Pixels without data, by an alpha band, a mask or the nodata value, are
not to be looked at, nor are those beside them, which a network takes for an edge.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.data.exif import orientation_of, tiff_tags_of
from scnet_edge.data.frames import MAX_PIXELS, MIN_SIDE_PX
from scnet_edge.data.pictures import open_header
from scnet_edge.data.sample_bits import BITS, fewest_bits
from scnet_edge.errors import InputError, escape, install_extra, one_line
from scnet_edge.types import Frame, Mask

Transform = tuple[float, ...]  # (a, b, c, d, e, f), see `Raster`
MARGIN_PX = 4  # beside pixels without data
CACHE_BYTES = 64 * 2**20  # of GDAL, whose own choice is a twentieth of the memory
MAX_SIDE_PX, MAX_AREA_PX = 300_000, 2 * 10**10  # strips are as wide as the picture
MAX_BLOCK_BYTES = 2**30  # what GDAL decompresses in one piece
# GDAL's name of each format. Not those that may lead to other files or machines: VRT, WMS, ...
DRIVERS = {"JPEG": "JPEG", "PNG": "PNG", "JPEG2000": "JP2OpenJPEG", "WEBP": "WEBP", "BMP": "BMP"}
PLACING = {33550, 34264, 34735}  # tags of TIFF: size of a pixel, transform, keys of a GeoTIFF
BIG_TIFF = (b"II+\0", b"MM\0+")
LOOK_PX = 1024  # the longer side of the small picture that is looked at for the largest value
_NOWHERE = "its transform {} leads to no place on the ground; gdal_translate it with -a_ullr"
WORLD_BYTES = 1024  # far more than six numbers
SQUARE_SHARE = 0.01  # by which the sides of a pixel may differ on the ground
EQUATOR_M, ECCENTRICITY2 = 6378137.0, 0.00669438  # of WGS 84

logger = logging.getLogger(__name__)
TILE_PX = 512  # the file's own tiles; written in whole rows of them, so that each is packed once


def is_raster(uri: str) -> bool:
    """Return whether a source is one for windows: placed on a map, or over 100 megapixels."""
    path = Path(uri)
    if not uri or not path.is_file():
        return False
    if path.suffix.lower() == ".vrt":
        reason = "a list of other files, which may lie on other machines"
        raise InputError(f"{escape(path)}: {reason}; gdal_translate it to a GeoTIFF")
    with path.open("rb") as f:
        if f.read(4) in BIG_TIFF:
            return True
    with open_header(path) as image:
        if image is None:  # Pillow has no colours of 16 bits, nor five bands
            return not PLACING.isdisjoint(tiff_tags_of(path))
        if image.width * image.height > MAX_PIXELS or _world_file_of(path):
            return True
        return not PLACING.isdisjoint(getattr(image, "tag_v2", {}))


class Raster:
    """An open picture.

    Attributes:
        label: its name, for people.
        size_hw: its size in pixels.
        crs: its coordinate system as well-known text; empty where it has none.
        transform: (a, b, c, d, e, f): x = a column + b row + c, y = d column + e row + f. In a
            picture without a place x is the column and y minus the row, as GIS programs lay it.
        placed: whether the file, or a world file beside it, says where it lies.
        mm_per_px: at its middle, on the ground; None where it is not known.
    """

    def __init__(self, dataset: Any, label: str, world: Transform | None) -> None:
        self.label = label
        self.size_hw: tuple[int, int] = (dataset.height, dataset.width)
        self.crs: str = dataset.crs.to_wkt() if dataset.crs else ""
        own = None if dataset.transform.is_identity else tuple(dataset.transform)[:6]
        self.placed = own is not None or world is not None
        self.transform: Transform = own or world or (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
        if self.placed:
            _check_place(self.transform, label)
        self.mm_per_px = _mm_per_px(dataset, label) if own and dataset.crs else None
        self._dataset = dataset
        self._bands, self._palette = _bands(dataset, label)
        self._shift = _shift(dataset, self._bands, label)
        self._whole = all("all_valid" in {flag.name for flag in f} for f in dataset.mask_flag_enums)

    def frame(self, rows: slice, columns: slice) -> Frame:
        """Return a window as (h, w, 3) uint8 BGR.

        Raises:
            InputError: the file is damaged there.
        """
        where = (rows.start, rows.stop), (columns.start, columns.stop)
        with _name_damage(self.label, rows):
            values = self._dataset.read(self._bands, window=where)
        return self._as_bgr(values)

    def ignored(self, rows: slice, columns: slice) -> Mask | None:
        """Return (h, w) bool, True where a window holds no data or is beside it; None: nowhere."""
        if self._whole:
            return None
        height_px, width_px = self.size_hw
        around = slice(max(0, columns.start - MARGIN_PX), min(width_px, columns.stop + MARGIN_PX))
        above = slice(max(0, rows.start - MARGIN_PX), min(height_px, rows.stop + MARGIN_PX))
        where = (above.start, above.stop), (around.start, around.stop)
        with _name_damage(self.label, rows):
            known = self._dataset.dataset_mask(window=where)
        if known.all():
            return None
        side = np.ones((2 * MARGIN_PX + 1, 2 * MARGIN_PX + 1), np.uint8)
        grown = cv2.dilate((known == 0).astype(np.uint8), side).astype(bool)
        top, left = rows.start - above.start, columns.start - around.start
        inner = grown[top : top + rows.stop - rows.start, left:]
        return inner[:, : columns.stop - columns.start]

    def small(self, longest_px: int) -> Frame:
        """Return the whole picture made smaller, (h, w, 3) uint8 BGR.

        Raises:
            InputError: the file is damaged.
        """
        return self._as_bgr(_small(self._dataset, self._bands, longest_px, self.label))

    def _as_bgr(self, values: npt.NDArray[Any]) -> Frame:
        if self._palette is not None:
            return np.asarray(self._palette[values[0]], np.uint8)
        if self._shift:
            values = (values >> self._shift).clip(0, 255).astype(np.uint8)
        bgr = values[::-1] if len(values) == 3 else np.repeat(values, 3, axis=0)
        return np.ascontiguousarray(bgr.transpose(1, 2, 0))


@contextmanager
def _name_damage(label: str, rows: slice) -> Iterator[None]:
    """Say where a file is damaged, in one line."""
    from rasterio.errors import RasterioError

    try:
        yield
    except RasterioError as e:
        place = f"rows {rows.start} to {rows.stop}"
        reason = one_line(e.__cause__ if isinstance(e.__cause__, Exception) else e)
        raise InputError(f"{label}: damaged at {place} ({reason}); copy it again") from e


@contextmanager
def open_raster(path: Path) -> Iterator[Raster]:
    """Open a picture for windows.

    Raises:
        InputError: rasterio is missing, it cannot be read, or its bands are none that are read.
    """
    try:
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning, RasterioError
    except ModuleNotFoundError as e:
        raise InputError(
            f"{escape(path)}: a GeoTIFF or a picture of over {MAX_PIXELS // 10**6} megapixels "
            f"needs rasterio and pyogrio; {install_extra('geo')}"
        ) from e
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)  # what matters, we raise
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    driver = _driver_of(path)
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        try:
            dataset = rasterio.open(path, driver=driver)
        except RasterioError as e:
            raise InputError(f"{escape(path)}: GDAL cannot read it ({one_line(e)})") from e
        with dataset:
            _check_size(dataset, escape(path))
            world = _world_file_of(path)
            yield Raster(dataset, escape(path), _read_world_file(world) if world else None)


def _world_file_of(path: Path) -> Path | None:
    """Return the file beside a picture that says where it lies: `a.jgw`, `a.jpgw`, `a.wld`."""
    suffix = path.suffix.lower()
    names = (suffix[:2] + suffix[-1:] + "w", suffix + "w", ".wld") if suffix else ()
    either = (path.with_suffix(cased) for name in names for cased in (name, name.upper()))
    return next((each for each in either if each.is_file()), None)


def _read_world_file(path: Path) -> Transform:
    """Return the transform of a world file: its six lines are a, d, b, e and a pixel's middle.

    Raises:
        InputError: it is none.
    """
    with path.open("rb") as f:
        lines = f.read(WORLD_BYTES).split()
    try:
        a, d, b, e, x, y = (float(line.replace(b",", b".")) for line in lines)
    except ValueError as none:
        raise InputError(f"{escape(path)}: expected the six numbers of a world file") from none
    return a, b, x - (a + b) / 2, d, e, y - (d + e) / 2


def _check_size(dataset: Any, label: str) -> None:
    """Refuse what takes more memory than a robot has, or days; a few bytes can claim any size."""
    height_px, width_px = dataset.shape
    if max(dataset.shape) > MAX_SIDE_PX or height_px * width_px > MAX_AREA_PX:
        expected = f"sides of at most {MAX_SIDE_PX} px and {MAX_AREA_PX // 10**9} gigapixels"
        raise InputError(f"{label}: {width_px}x{height_px} px, expected {expected}; cut it")
    item_bytes = max(np.dtype(kind).itemsize for kind in dataset.dtypes)
    block_bytes = max(math.prod(shape) for shape in dataset.block_shapes)
    block_bytes *= item_bytes * dataset.count
    if block_bytes > MAX_BLOCK_BYTES:
        raise InputError(
            f"{label}: blocks of {block_bytes >> 20} MiB, expected at most "
            f"{MAX_BLOCK_BYTES >> 20}; gdal_translate it with -co TILED=YES"
        )


def _driver_of(path: Path) -> str:
    """Return what GDAL reads a picture with; by its content, and no other is tried.

    Raises:
        InputError: a photograph that lies on its side, for GDAL reads pixels as they are stored.
    """
    with open_header(path) as image:
        orientation = 1 if image is None else orientation_of(image)
        driver = "GTiff" if image is None else DRIVERS.get(image.format or "", "GTiff")
    if orientation != 1:
        raise InputError(
            f"{escape(path)}: stored on its side (EXIF orientation {orientation}); save it upright"
        )
    return driver


def _bands(dataset: Any, label: str) -> tuple[list[int], Frame | None]:
    """Return the numbers of the bands to read, RGB or one, and a palette's colours (256, 3) BGR."""
    if min(dataset.shape) < MIN_SIDE_PX:
        height_px, width_px = dataset.shape
        found = f"{width_px}x{height_px} px"
        raise InputError(f"{label}: {found}, expected sides of at least {MIN_SIDE_PX} px")
    names = [colour.name for colour in dataset.colorinterp]
    if names[0] == "palette":
        colours = dataset.colormap(1)
        table = [colours.get(value, (0, 0, 0))[2::-1] for value in range(256)]
        return [1], np.array(table, np.uint8)
    if {"red", "green", "blue"} <= set(names):
        bands = [names.index(name) + 1 for name in ("red", "green", "blue")]
    else:
        colours = [i + 1 for i, name in enumerate(names) if name != "alpha"]
        bands = colours[:3] if len(colours) >= 3 else colours[:1]
    kinds = {dataset.dtypes[band - 1] for band in bands}
    if not bands or not kinds <= {"uint8", "uint16"}:
        found = " and ".join(sorted(kinds)) or "alpha alone"
        raise InputError(f"{label}: expected bands of 8 or 16 bits, found {found}; export it so")
    return bands, None


def _shift(dataset: Any, bands: list[int], label: str) -> int:
    """Return by how many bits to shift samples down: by the file's word, else by their largest."""
    if dataset.dtypes[bands[0] - 1] == "uint8":
        return 0
    word = dataset.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS", "")
    stated = next((bits for bits in BITS if str(bits) == word), 0)
    bits = stated or fewest_bits(_largest(dataset, bands, label))
    if bits not in (stated, BITS[-1]):
        values = f"{1 << bits} in a picture made smaller"
        logger.warning("%s: values end below %s: taken for %d bits", label, values, bits)
    return bits - 8


def _largest(dataset: Any, bands: list[int], label: str) -> int:
    """Return the largest sample of a picture made smaller, where it holds data."""
    values = _small(dataset, bands, LOOK_PX, label)
    with _name_damage(label, slice(0, dataset.height)):
        known = dataset.dataset_mask(out_shape=values.shape[1:])  # (h, w)
    return int(values.max(initial=0, where=known > 0))


def _small(dataset: Any, bands: list[int], longest_px: int, label: str) -> npt.NDArray[Any]:
    factor = min(1.0, longest_px / max(dataset.shape))
    size_hw = [max(1, round(side * factor)) for side in dataset.shape]
    with _name_damage(label, slice(0, dataset.height)):
        values: npt.NDArray[Any] = dataset.read(bands, out_shape=(len(bands), *size_hw))
    return values


def _check_place(transform: Sequence[float], label: str) -> None:
    """Refuse a file whose pixels lie nowhere: what is found on it would, too."""
    a, b, _, d, e, _ = transform
    if not all(map(math.isfinite, transform)) or not math.isfinite(a * e - b * d) or a * e == b * d:
        raise InputError(f"{label}: {_NOWHERE.format(list(transform))}")


def _mm_per_px(dataset: Any, label: str) -> float | None:
    """Return the size of a pixel on the ground, at the middle of the picture.

    By longitude and latitude, for a map's own metres are not those of the ground in every
    projection: in Web Mercator they are a third too long at 41 degrees.
    """
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    middle = [
        (dataset.width / 2 + dx, dataset.height / 2 + dy) for dx, dy in ((0, 0), (1, 0), (0, 1))
    ]
    places = [dataset.transform * xy for xy in middle]
    try:
        if not (dataset.crs.is_geographic or dataset.crs.is_projected):  # a building's own system
            metre = float(dataset.crs.units_factor[1])
            sides_m = [metre * math.dist(places[0], place) for place in places[1:]]
        else:
            lon, lat = transform(dataset.crs, "EPSG:4326", *zip(*places, strict=True))
            sides_m = [_ground_m(lon[i] - lon[0], lat[i] - lat[0], lat[0]) for i in (1, 2)]
    except (RasterioError, CPLE_BaseError, ArithmeticError, ValueError) as e:  # no such place
        raise InputError(f"{label}: {_NOWHERE.format(list(dataset.transform)[:6])}") from e
    across_m, down_m = sides_m
    if abs(across_m - down_m) > SQUARE_SHARE * max(sides_m):
        logger.warning(
            "%s: pixels of %.4g x %.4g mm are not square, so nothing is measured in mm; "
            "warp it to a system in metres, such as UTM",
            label,
            1000 * across_m,
            1000 * down_m,
        )
        return None
    return 500 * (across_m + down_m)


def _ground_m(east_deg: float, north_deg: float, latitude_deg: float) -> float:
    """Return the length of a short way on the ellipsoid."""
    latitude = math.radians(latitude_deg)
    curve = 1 - ECCENTRICITY2 * math.sin(latitude) ** 2
    north_m = EQUATOR_M * (1 - ECCENTRICITY2) / curve**1.5 * math.radians(north_deg)
    east_m = EQUATOR_M / math.sqrt(curve) * math.cos(latitude) * math.radians(east_deg)
    return math.hypot(east_m, north_m)


class MaskFile:
    """Takes strips; 255 is crack, 0 is none, and what was not inspected is without data."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._waiting = np.zeros((2, 0, dataset.width), bool)  # crack, inspected
        self._row = 0

    def write(self, mask: Mask, ignored: Mask) -> None:
        """Append a strip, (h, w) bool each."""
        self._waiting = np.concatenate([self._waiting, np.stack([mask, ~ignored])], axis=1)
        self._put(self._waiting.shape[1] // TILE_PX * TILE_PX)

    def end(self) -> None:
        """Write what waits for more."""
        self._put(self._waiting.shape[1])

    def _put(self, height_px: int) -> None:
        if not height_px:
            return
        ready, self._waiting = np.split(self._waiting, [height_px], axis=1)
        crack, inspected = ready.astype(np.uint8) * np.uint8(255)
        window = (self._row, self._row + height_px), (0, self._dataset.width)
        self._dataset.write(crack, 1, window=window)
        self._dataset.write_mask(inspected, window=window)
        self._row += height_px


@contextmanager
def open_mask_file(path: Path, raster: Raster) -> Iterator[MaskFile]:
    """Yield a file of a picture's size, in its coordinate system."""
    import rasterio

    height_px, width_px = raster.size_hw
    place = {"transform": rasterio.Affine(*raster.transform), "crs": raster.crs or None}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height_px,
            width=width_px,
            count=1,
            dtype="uint8",
            tiled=True,
            blockxsize=TILE_PX,
            blockysize=TILE_PX,
            compress="deflate",
            bigtiff="if_safer",
            **(place if raster.placed else {}),
        ) as dataset,
    ):
        mask_file = MaskFile(dataset)
        yield mask_file
        mask_file.end()
