"""Arrays in a NumPy archive that somebody else may have made: bounded before memory is taken."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

# What an archive that is damaged, or another file, makes the readers raise.
DAMAGE = (
    *(OSError, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError, zlib.error),
    *(SyntaxError, tokenize.TokenError, OverflowError, TypeError, AttributeError, MemoryError),
)
HEADER_BYTES = 10_000


def read_arrays(path: Path, *, most_bytes: int) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an `.npz` file by name; no code is ever read from it.

    Args:
        path: The archive, compressed or not.
        most_bytes: All arrays together may be so large.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no such archive, damaged, or larger; with the reason.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            if total > most_bytes:
                raise ValueError(f"{total} bytes of arrays, expected at most {most_bytes}")
            return {e.filename.removesuffix(".npy"): _array(archive, e) for e in entries}
    except FileNotFoundError:
        raise
    except (zipfile.BadZipFile, *DAMAGE) as e:
        raise ValueError(str(e) or type(e).__name__) from e


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> npt.NDArray[Any]:
    with archive.open(entry) as member:
        version = npy.read_magic(member)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{entry.filename}: NumPy's format {version}, expected 1 or 2")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(member, max_header_size=HEADER_BYTES)
        if dtype.hasobject:
            raise ValueError(f"{entry.filename}: objects, expected numbers")
        wanted = math.prod(shape) * dtype.itemsize
        if not 0 <= wanted <= entry.file_size:
            raise ValueError(f"{entry.filename}: {shape} of {dtype} is more than the file holds")
        data = member.read(wanted)
    array = np.frombuffer(data, dtype, count=math.prod(shape)).copy()
    return array.reshape(shape, order="F" if fortran else "C")
