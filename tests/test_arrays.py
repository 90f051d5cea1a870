"""An archive of arrays is read whole or refused, and costs no more memory than it may."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scnet_edge.arrays import read_arrays


def test_what_numpy_wrote_is_read(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "a": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "b": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "c": np.array(7),
        "d": np.zeros((0, 3), np.uint8),
        "e": np.array(["x", "yz"]),
    }
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "a.npz", **arrays)
        found = read_arrays(tmp_path / "a.npz", most_bytes=10_000)
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype


def member(tmp_path: Path, shape: str, data: bytes, kind: str = "<f8") -> Path:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy)
    return path


@pytest.mark.parametrize(
    ("shape", "data", "kind"),
    [
        ("(100000000000,)", b"x" * 800, "<f8"),
        ("(-1,)", b"x" * 800, "<f8"),
        ("(2**62, 4)", b"x" * 800, "<f8"),
        ("(100,)", b"x" * 8, "<f8"),
        ("(1,)", b"x" * 8, "|O"),
        ("(1,)", b"", "nonsense"),
        ("(" * 500, b"", "<f8"),
        ("(0,)", b"", "<f8"),
    ],
)
def test_headers_that_promise_too_much(tmp_path: Path, shape: str, data: bytes, kind: str) -> None:
    path = member(tmp_path, shape, data, kind)
    if shape == "(0,)":
        assert read_arrays(path, most_bytes=1000)["a"].shape == (0,)
        return
    with pytest.raises(ValueError, match=r"."):
        read_arrays(path, most_bytes=100_000)


def test_a_small_file_of_many_bytes_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(10_000_000, np.uint8))
    assert (tmp_path / "a.npz").stat().st_size < 20_000
    with pytest.raises(ValueError, match="expected at most 1000000"):
        read_arrays(tmp_path / "a.npz", most_bytes=1_000_000)


def test_every_damage_is_a_value_error(tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.savez_compressed(whole, a=np.arange(100), b=np.ones((3, 4)))
    rng, path = np.random.default_rng(0), tmp_path / "a.npz"
    for _ in range(300):
        data = bytearray(whole.getvalue())
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, len(data) + 1)])
        try:
            read_arrays(path, most_bytes=10_000)
        except ValueError:
            continue
