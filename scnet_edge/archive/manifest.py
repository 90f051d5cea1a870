"""The manifest of an archive: one row a film, picture, database, or thing that is missing.

It is a Parquet file, so that it opens in pandas, DuckDB or a spreadsheet's importer. Paths are as
text to read, and as bytes to open: a name on a disk need not be any text.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scnet_edge.archive.coding import CodedInspection
from scnet_edge.archive.media import decode_path
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.files import new_file, read_file

Kind = Literal["film", "picture", "database", "inspection", "folder", "link"]
State = Literal["matched", "alone", "claimed", "missing", "unreadable", "other"]
VERSION = "1"
MAX_BYTES, MAX_ROWS, BATCH_ROWS = 128 << 20, 1_000_000, 1024
MAX_TEXT_BYTES = 128 << 20  # unpacked; codings take up to ten times their text
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("path_bytes", pa.binary()),
        ("kind", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("size_bytes", pa.int64()),
        ("modified_ns", pa.int64()),
        ("container", pa.string()),
        ("database", pa.string()),
        ("pipe", pa.string()),
        ("from_node", pa.string()),
        ("to_node", pa.string()),
        ("direction", pa.string()),
        ("date", pa.string()),
        ("diameter_mm", pa.float64()),
        ("material", pa.string()),
        ("conditions", pa.int64()),
        ("inspection", pa.string()),
    ]
)
TEXTS = [field.name for field in SCHEMA if field.type in (pa.string(), pa.binary())]


class ManifestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the manifest.

    Attributes:
        path_bytes: relative to the archive's root, with `/` between folders; of what is missing
            the reference as it stands in the database.
        state: `matched` to an inspection or from one; `alone`, in no database; `claimed` by
            several inspections; `missing`, named but not there; `unreadable`, with the reason.
        container: of a film, by its first bytes.
        database: which one speaks of it.
        inspection: the human coding that belongs to a film, or that found no film.
    """

    path_bytes: bytes
    kind: Kind
    state: State
    reason: str = ""
    size_bytes: int = 0
    modified_ns: int = 0
    container: str = ""
    database: str = ""
    inspection: CodedInspection | None = None

    @property
    def path(self) -> str:
        """The path as text to read."""
        return decode_path(self.path_bytes)

    @property
    def film_id(self) -> str:
        """A name for the film's folder: readable, safe on any disk, and no other film's."""
        stem = unicodedata.normalize("NFKD", Path(self.path).stem)
        safe = re.sub(r"[^A-Za-z0-9]+", "-", stem.encode("ascii", "ignore").decode()).strip("-")
        return f"{safe[:40] or 'film'}-{hashlib.sha256(self.path_bytes).hexdigest()[:10]}"


class ArchiveManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of an archive, in the order of their paths.

    Attributes:
        root: the archive's folder when it was scanned.
        others: how many files are of no kind that matters here.
    """

    root: Path
    rows: tuple[ManifestRow, ...]
    others: int = 0

    @property
    def films(self) -> list[ManifestRow]:
        """The rows of films that can be read."""
        return [
            r for r in self.rows if r.kind == "film" and r.state not in ("unreadable", "missing")
        ]


def write_manifest(path: Path, manifest: ArchiveManifest) -> None:
    """Write the Parquet file; an older one is replaced when the new one is whole.

    Raises:
        OSError: the disk is full or refuses.
    """
    facts = {
        b"scnet_edge_archive": VERSION.encode(),
        b"root": os.fsencode(manifest.root),
        b"others": str(manifest.others).encode(),
    }
    table = pa.Table.from_pylist(
        [_cells(row) for row in manifest.rows], schema=SCHEMA.with_metadata(facts)
    )
    with new_file(path) as f:
        pq.write_table(table, f, compression="zstd")


def read_manifest(path: Path) -> ArchiveManifest:
    """Return the manifest that `archive scan` wrote.

    Raises:
        InputError: missing, damaged, or not such a file.
    """
    expected = "expected a manifest that 'archive scan' wrote"
    try:
        data = pa.BufferReader(read_file(path, MAX_BYTES))
        file = pq.ParquetFile(data, read_dictionary=TEXTS)
        facts = file.schema_arrow.metadata or {}
        if facts.get(b"scnet_edge_archive") != VERSION.encode():
            raise InputError(f"{path}: {expected}, found another Parquet file")
        return ArchiveManifest(
            root=Path(os.fsdecode(facts[b"root"])),
            others=int(facts[b"others"]),
            rows=tuple(_rows(file)),
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, {expected}") from None
    except ConfigError as e:
        raise InputError(str(e)) from e
    except (OSError, pa.ArrowException, KeyError, ValueError, msgspec.MsgspecError) as e:
        raise InputError(f"{path}: {expected} ({e})") from e


def _rows(file: pq.ParquetFile) -> Iterator[ManifestRow]:
    """Yield the rows; a text that many rows share is small in the file, and is counted for each.

    Raises:
        ValueError: more than any archive has.
    """
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    stored_bytes = sum(group.total_byte_size for group in groups)
    if file.metadata.num_rows > MAX_ROWS or stored_bytes > MAX_TEXT_BYTES:
        raise ValueError(f"{file.metadata.num_rows} rows of {stored_bytes >> 20} MiB in all")
    text_bytes = 0
    for batch in file.iter_batches(batch_size=BATCH_ROWS):
        for column in batch.columns:
            if pa.types.is_dictionary(column.type):
                lengths = pc.binary_length(column.dictionary).take(column.indices)
                text_bytes += pc.sum(lengths).as_py() or 0
        if text_bytes > MAX_TEXT_BYTES:
            raise ValueError(
                f"over {MAX_TEXT_BYTES >> 20} MiB of text; scan its folders one by one"
            )
        yield from map(_row, batch.to_pylist())


def order(rows: Iterable[ManifestRow]) -> tuple[ManifestRow, ...]:
    """Return rows in an order that does not depend on the disk."""
    return tuple(sorted(rows, key=lambda r: (r.path_bytes, r.kind, r.database, r.reason)))


def _cells(row: ManifestRow) -> dict[str, Any]:
    found = row.inspection
    cells: dict[str, Any] = {
        name: getattr(row, name)
        for name in ("path", "path_bytes", "kind", "state", "reason", "size_bytes", "modified_ns")
    }
    cells |= {"container": row.container, "database": row.database}
    if found is not None:
        plain = ("pipe", "from_node", "to_node", "direction", "date", "diameter_mm", "material")
        cells |= {name: getattr(found, name) for name in plain}
        cells["conditions"] = len(found.conditions)
        cells["inspection"] = msgspec.json.encode(found).decode()
    return cells


def _row(cells: dict[str, Any]) -> ManifestRow:
    coded = cells["inspection"]
    return msgspec.convert(
        {
            **{name: cells[name] for name in ManifestRow.__struct_fields__ if name != "inspection"},
            "inspection": None if coded is None else msgspec.json.decode(coded),
        },
        ManifestRow,
    )
