"""The one reader of picture files: upright BGR frames, and what the camera noted beside them.

JPEG, PNG, TIFF, WebP, BMP, JPEG 2000, AVIF and PGM; HEIC and DNG with the extra `photos`.
A file is what its first bytes say, whatever it is called. It is refused in one line when it is too
large (before memory is spent on it), truncated, several pictures, or a camera's raw data. The EXIF
orientation is applied in every format.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from scnet_edge.data.exif import orientation_of, photograph_by, photograph_of, tiff_tags
from scnet_edge.data.frames import MAX_PIXELS, as_bgr, check_size
from scnet_edge.data.sample_bits import eight_bits, sample_bits
from scnet_edge.data.tiff_pieces import pieces_end
from scnet_edge.errors import ConfigError, InputError, escape, install_extra, one_line
from scnet_edge.files import read_file
from scnet_edge.types import Frame, Photograph

FORMATS = ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "DIB", "JPEG2000", "AVIF", "PPM"]
STACKS = {"TIFF", "PNG", "WEBP", "AVIF", "HEIF"}  # in which every page is a picture of its own
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_FILE_BYTES = 2**30
TIFF_STARTS = (b"II*\0", b"MM\0*")
DNG_VERSION = 50706  # a tag of TIFF
# What Pillow's decoders raise for damaged files.
DAMAGE = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError),
    *(AttributeError, NotImplementedError, MemoryError, UserWarning, struct.error, zlib.error),
)

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # what matters is raised
_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture file, checked and decoded.

    Attributes:
        image: The pixels as Pillow holds them, not turned yet, but for TIFF.
        data: The file.
        where: What to call it in messages.
        orientation: The EXIF orientation of the stored pixels; 1 for none.
        photograph: What the file says of itself.
    """

    image: Image.Image
    data: bytes
    where: str
    orientation: int
    photograph: Photograph

    def frame(self) -> Frame:
        """Return (h, w, 3) uint8 BGR, upright.

        Grey is repeated, alpha dropped; CMYK and palettes become RGB. 16-bit values are scaled by
        the bits that they use: by the file's word (PNG's sBIT, TIFF's MaxSampleValue), else the
        fewest of 8, 10, 12, 14 and 16 that hold the largest value, and a warning says so.

        Raises:
            InputError: samples of other kinds, such as floats.
        """
        if sample_bits(self.image, self.data) > 8:
            values = self.values()
            if values.dtype == np.uint16:
                values = eight_bits(values, self.image, self.data, self.where)
            if values.ndim == 3:
                values = values[..., 2::-1] if values.shape[2] > 2 else values[..., 0]
            return as_bgr(values, where=self.where)
        if self.image.mode == "F":
            raise InputError(f"{self.where}: expected 8 or 16 bits a sample, found floats")
        upright = ImageOps.exif_transpose(self.image)
        if upright.mode in ("1", "L", "LA"):
            return as_bgr(np.asarray(upright.convert("L")), where=self.where)
        bgr = cv2.cvtColor(np.asarray(upright.convert("RGB")), cv2.COLOR_RGB2BGR)
        return as_bgr(bgr, where=self.where)

    def values(self) -> npt.NDArray[Any]:
        """Return the stored values, upright: (h, w), (h, w, 2 grey and alpha), 3 RGB or 4 RGBA.

        uint8, or uint16 where a sample has more bits; of a palette the indices.
        """
        deep = sample_bits(self.image, self.data) > 8 and not self.image.mode.startswith("I")
        if deep and has_whole_chunks(self.data):
            read = cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_UNCHANGED)
            if read is not None:  # Pillow keeps the high byte of 16-bit colours alone
                rgb = read if read.ndim == 2 else read[..., [2, 1, 0, 3][: read.shape[2]]]
                return rgb if self.image.format == "TIFF" else turn(rgb, self.orientation)
        values = np.asarray(ImageOps.exif_transpose(self.image))
        if values.dtype == np.int32 and values.min() >= 0 and values.max() < 1 << 16:
            return values.astype(np.uint16)
        return values.astype(np.uint8) * 255 if values.dtype == np.bool_ else values


def read_image(path: Path) -> Frame:
    """Return a picture file as (h, w, 3) uint8 BGR, upright.

    Raises:
        InputError: as `read_picture` and `Picture.frame`.
    """
    return read_picture(path).frame()


def read_picture(path: Path, *, label: str = "") -> PictureFile:
    """Return a picture file, checked and decoded; its name may be of any bytes.

    Args:
        path: The file.
        label: What to call it in messages and in its `Photograph`; by default the path.

    Raises:
        InputError: missing, empty, too small or too large, truncated, several pictures, or none
            that is read.
    """
    where = label or escape(path)
    return decode_picture(_read_bytes(path, where), where=where)


def read_size(path: Path) -> tuple[tuple[int, int], int]:
    """Return the upright (h, w) of a picture file and its EXIF orientation, from its header.

    Raises:
        InputError: missing, empty, or none that is read.
    """
    where = escape(path)
    data = _read_bytes(path, where)
    if data.startswith(TIFF_STARTS) and DNG_VERSION in tiff_tags(data):  # heads may be a preview's
        width_px, height_px = decode_picture(data, where=where).image.size
        return (height_px, width_px), 1
    image = _identify(data, where)
    orientation, size_hw = orientation_of(image), (image.height, image.width)
    if orientation > 4 and image.format != "TIFF":  # Pillow turns the size of a TIFF
        size_hw = size_hw[::-1]
    return size_hw, orientation


@contextmanager
def open_header(path: Path) -> Iterator[Image.Image | None]:
    """Yield a picture file of any size with its header alone read; None where it is no picture."""
    with path.open("rb") as f, ExitStack() as stack:
        try:
            image = stack.enter_context(_open(f, FORMATS))
        except (UnidentifiedImageError, *DAMAGE):
            yield None
            return
        yield image


def _read_bytes(path: Path, where: str) -> bytes:
    try:
        data = read_file(path, MAX_FILE_BYTES)
    except ConfigError as e:
        raise InputError(f"{where}: {str(e).removeprefix(f'{path}: ')}") from e
    except OSError as e:
        raise InputError(f"{where}: cannot be read ({e.strerror})") from e
    if not data:
        raise InputError(f"{where}: empty file, expected an image")
    return data


def decode_image(data: bytes, *, where: str, max_pixels: int = MAX_PIXELS) -> Frame:
    """Return an encoded picture as (h, w, 3) uint8 BGR, upright; raises as `read_image`."""
    return decode_picture(data, where=where, max_pixels=max_pixels).frame()


def decode_picture(data: bytes, *, where: str, max_pixels: int = MAX_PIXELS) -> PictureFile:
    """Return an encoded picture, checked and decoded; raises as `read_picture`."""
    if data.startswith(TIFF_STARTS) and DNG_VERSION in (tags := tiff_tags(data)):
        if pieces_end(data) > len(data):  # LibRaw develops what is there, without a word
            raise InputError(_truncated(data, where))
        developed = Image.fromarray(_develop(data, where, max_pixels))
        return PictureFile(developed, data, where, 1, photograph_by(tags, where))
    image = _identify(data, where)
    check_size(image.height, image.width, where, max_pixels=max_pixels)
    try:
        _refuse_several(image, where)
        orientation, photograph = orientation_of(image), photograph_of(image, where)
        image.load()
    except DAMAGE as e:
        cut = "truncated" in str(e) or "cut short" in str(e) or isinstance(e, EOFError)
        why = " ".join(str(e).split())
        damaged = f"{where}: damaged image ({why}); copy or export it again"
        raise InputError(_truncated(data, where) if cut else damaged) from e
    return PictureFile(image, data, where, orientation, photograph)


def _truncated(data: bytes, where: str) -> str:
    return f"{where}: truncated image of {len(data)} bytes; copy or export it again"


def turn(values: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Return stored pixels (h, w, ...) upright, by their EXIF orientation, 1 to 8."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def _identify(data: bytes, where: str) -> Image.Image:
    """Return what Pillow makes of the header."""
    heic = data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis")
    formats = [*FORMATS, *_heif(where)] if heic else FORMATS
    try:
        return _open(io.BytesIO(data), formats)
    except UnidentifiedImageError:
        reason = "not an image that is read here, or damaged"
        raise InputError(f"{where}: {reason}; export it as JPEG, PNG or TIFF") from None
    except DAMAGE as e:
        why = " ".join(str(e).split())
        raise InputError(f"{where}: damaged image ({why}); copy or export it again") from e


def _open(file: IO[bytes], formats: list[str]) -> Image.Image:
    """Return a picture with its header read; Pillow's own limit of pixels is left to ours."""
    with _opening:
        Image.init()
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _heif(where: str) -> list[str]:
    try:
        from pillow_heif import register_heif_opener
    except ModuleNotFoundError as e:
        raise InputError(
            f"{where}: a HEIC picture needs pillow-heif; {install_extra('photos')}, or "
            "export it as JPEG"
        ) from e
    register_heif_opener()
    return ["HEIF"]


def _develop(data: bytes, where: str, max_pixels: int) -> Frame:
    """Return a DNG's picture, (h, w, 3) uint8 RGB, upright, white as the camera chose it."""
    try:
        import rawpy
    except ModuleNotFoundError as e:
        raise InputError(
            f"{where}: a DNG picture needs rawpy; {install_extra('photos')}, or export it as JPEG"
        ) from e
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            check_size(raw.sizes.height, raw.sizes.width, where, max_pixels=max_pixels)
            rgb = raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=8)
    except rawpy.LibRawError as e:
        raise InputError(f"{where}: damaged image ({one_line(e)}); copy or export it again") from e
    return np.asarray(rgb, np.uint8)


def _refuse_several(image: Image.Image, where: str) -> None:
    """Refuse a stack of pages; a smaller page is a preview."""
    if image.format == "TIFF":  # its pages are not counted, for a file can have them without end
        size, found = image.size, "several"
        try:
            image.seek(1)
        except EOFError:
            return
        alike = image.size == size
        image.seek(0)
        if not alike:
            return
    else:
        count = getattr(image, "n_frames", 1) if image.format in STACKS else 1
        if count < 2:
            return
        found = str(count)
    raise InputError(f"{where}: holds {found} pictures, expected one; save each as a file")


def has_whole_chunks(data: bytes) -> bool:
    """Return whether a PNG's chunks lie within it; OpenCV takes the memory that one asks for.

    True for what is no PNG.
    """
    at = len(PNG_SIGNATURE)
    while data.startswith(PNG_SIGNATURE) and at + 8 <= len(data):
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return at <= len(data) or not data.startswith(PNG_SIGNATURE)
