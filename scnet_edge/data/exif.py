"""What a photograph says of itself in its EXIF: how it was held, when and where it was taken."""

from __future__ import annotations

import math
import re
import struct
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from PIL import Image

from scnet_edge.types import Photograph

ORIENTATION, EXIF_IFD, GPS_IFD = 0x0112, 0x8769, 0x8825
TAKEN, TAKEN_FRACTION, TAKEN_OFFSET = 0x9003, 0x9291, 0x9011
GPS_NORTH, GPS_LAT, GPS_EAST, GPS_LON, GPS_TIME, GPS_DATE = 1, 2, 3, 4, 7, 29
UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError)


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation of the stored pixels, 1 to 8; 1 where there is none."""
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except (*UNREADABLE, struct.error):
        return 1
    return orientation if orientation in range(1, 9) else 1


def tiff_tags(data: bytes) -> Image.Exif:
    """Return the first tags of a TIFF, as EXIF and DNG have them; none where it is no TIFF."""
    exif = Image.Exif()
    try:
        exif.load(data)
    except (*UNREADABLE, UserWarning, struct.error):  # Pillow's warnings, where they are raised
        return Image.Exif()
    return exif


def tiff_tags_of(path: Path) -> Image.Exif:
    """Return the first tags of a TIFF file, whatever its pixels are; none where it is no TIFF."""
    exif = Image.Exif()
    try:
        with path.open("rb") as f:
            exif.load_from_fp(f)
    except (*UNREADABLE, UserWarning, struct.error):
        return Image.Exif()
    return exif


def photograph_of(image: Image.Image, file: str) -> Photograph:
    """Return what a picture's EXIF says; what is missing or makes no sense is None.

    A time without an offset from UTC is the camera's local time. The clock of GPS stands in where
    the camera gives no offset.
    """
    try:
        return photograph_by(image.getexif(), file)
    except (*UNREADABLE, struct.error):
        return Photograph(file=file)


def photograph_by(exif: Image.Exif, file: str) -> Photograph:
    """Return what EXIF says of a picture, as `photograph_of`."""
    try:
        camera, gps = exif.get_ifd(EXIF_IFD), exif.get_ifd(GPS_IFD)
    except (*UNREADABLE, struct.error):
        return Photograph(file=file)
    local, offset = _local(camera), _text(camera.get(TAKEN_OFFSET))
    aware = None
    if local is not None and re.fullmatch(r"[+-]\d\d:\d\d|Z", offset):
        aware = datetime.fromisoformat(local.isoformat() + offset.replace("Z", "+00:00"))
    known = aware or _gps_time(gps)
    taken = aware or local or known
    return Photograph(
        file=file,
        taken=None if taken is None else taken.isoformat(),
        utc_ns=None if known is None else _ns(known),
        lonlat=_lonlat(gps),
    )


def _local(camera: dict[int, Any]) -> datetime | None:
    """Return when the picture was taken, without a zone."""
    fraction = re.match(r"\d{1,6}", _text(camera.get(TAKEN_FRACTION)))
    try:
        whole = datetime.strptime(_text(camera.get(TAKEN))[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    return whole if fraction is None else whole.replace(microsecond=int(fraction[0].ljust(6, "0")))


def _gps_time(gps: dict[int, Any]) -> datetime | None:
    try:
        hours, minutes, seconds = (float(part) for part in gps[GPS_TIME])
        day = datetime.strptime(_text(gps[GPS_DATE]), "%Y:%m:%d")
        return day.replace(hour=int(hours), minute=int(minutes), second=int(seconds)).replace(
            tzinfo=timezone.utc
        )
    except UNREADABLE:
        return None


def _lonlat(gps: dict[int, Any]) -> tuple[float, float] | None:
    """Return longitude and latitude in degrees, WGS 84; 0, 0 is a receiver without a fix."""
    try:
        lat = _degrees(gps[GPS_LAT]) * (-1 if _text(gps[GPS_NORTH]).upper() == "S" else 1)
        lon = _degrees(gps[GPS_LON]) * (-1 if _text(gps[GPS_EAST]).upper() == "W" else 1)
    except UNREADABLE:
        return None
    inside = math.isfinite(lon) and abs(lon) <= 180 and abs(lat) <= 90
    return (round(lon, 8), round(lat, 8)) if inside and (lon, lat) != (0, 0) else None


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600


def _ns(at: datetime) -> int:
    since = at - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.strip("\0 ") if isinstance(value, str) else ""
