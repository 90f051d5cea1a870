"""MCAP for replay in Foxglove and the like: overlay pictures, records and the fault log.

A file that lacks its end is read by few programs, so the chunks are small, every second is synced,
a part is finished after ten minutes, and `scnet-edge recover` mends the one that was not.
"""

from __future__ import annotations

import base64
import errno
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import cv2
import msgspec
from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import CRCValidationError, StreamReader, breakup_chunk
from mcap.writer import CompressionType, Writer

from scnet_edge.events import Event
from scnet_edge.runtime.delivery import FrameResult
from scnet_edge.sinks.media import VIDEO_ROOM_BYTES, draw_result, free_path, require_room
from scnet_edge.sinks.run_records import EventRecord, FrameRecord, Recorder

CHUNK_BYTES = 16 * 1024
PART_S = 600.0  # a writer keeps an index of its file in memory until the end
JPEG_QUALITY = 80

Item: TypeAlias = tuple[FrameRecord | EventRecord, FrameResult | None]

TIME = {"type": "object", "properties": {"sec": {"type": "integer"}, "nsec": {"type": "integer"}}}
# Foxglove's own names and fields, so that its panels show them without a setting.
SCHEMAS: dict[str, tuple[str, dict[str, Any]]] = {
    "/overlay": (
        "foxglove.CompressedImage",
        {
            "timestamp": TIME,
            "frame_id": {"type": "string"},
            "data": {"type": "string", "contentEncoding": "base64"},
            "format": {"type": "string"},
        },
    ),
    "/log": (
        "foxglove.Log",
        {
            "timestamp": TIME,
            "level": {"type": "integer"},
            "message": {"type": "string"},
            "name": {"type": "string"},
            "file": {"type": "string"},
            "line": {"type": "integer"},
        },
    ),
    "/frames": ("scnet_edge.Frame", {}),
    "/run": ("scnet_edge.Run", {}),
}
WARNING, INFO = 3, 2  # of foxglove.Log
MAGIC = b"\x89MCAP0\r\n"
COPY_CHUNK_BYTES = 1 << 20
MAX_RECORD_BYTES = 64 * 2**20
TORN = (McapError, CRCValidationError, struct.error, ValueError, KeyError, OverflowError)


class McapFile:
    """An `Outlet` that writes PATH, then PATH with -001, -002 before its suffix."""

    depth = 8

    def __init__(
        self, path: Path, recorder: Recorder, *, room_bytes: int = VIDEO_ROOM_BYTES
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._room_bytes = path, room_bytes
        self._recorder = recorder
        self._part: _Part | None = _Part(free_path(path), recorder)

    def prepare(self, item: FrameResult | Event) -> Item:
        """Return the record, and the frame whose overlay is still to be drawn."""
        return self._recorder.record(item), item if isinstance(item, FrameResult) else None

    def put(self, item: Item) -> None:
        """Write a frame's record and picture, or an event; after an error a new part is begun."""
        require_room(self._path.parent, self._room_bytes)
        if self._part is not None and self._part.age_s > PART_S:
            part, self._part = self._part, None
            part.finish()
        if self._part is None:
            self._part = _Part(free_path(self._path), self._recorder)
        with self._abandon_on_error():
            self._part.write(*item)

    def flush(self) -> None:
        """Finish the chunk and bring it to the disk; after an error `put` begins a new part."""
        if self._part is not None:
            with self._abandon_on_error():
                self._part.sync()

    def close(self) -> None:
        """Write the index and close."""
        if self._part is not None:
            self._part.finish()

    @contextmanager
    def _abandon_on_error(self) -> Iterator[None]:
        """Let go of a part that may be torn: nobody can read what is written behind the tear."""
        part = self._part
        try:
            yield
        except OSError:
            self._part = None
            if part is not None:
                part.abandon()
            raise


class _Unbuffered:
    """The little of a file that an MCAP writer uses; a full disk shows at once, not later."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._size = 0

    def write(self, data: bytes) -> int:
        written = 0
        while written < len(data):
            written += os.write(self.fd, data[written:])
        self._size += written
        return written

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing waits here."""


class _Part:
    """One file being written; one that cannot be begun leaves nothing."""

    def __init__(self, path: Path, recorder: Recorder) -> None:
        self._recorder = recorder
        self._start_s = time.monotonic()
        self._file = _Unbuffered(path)
        stream = cast(BinaryIO, self._file)
        self._writer = Writer(stream, chunk_size=CHUNK_BYTES, compression=CompressionType.NONE)
        try:
            self._writer.start(library="scnet-edge")
            self._channels = {topic: self._channel(topic) for topic in SCHEMAS}
            self._add("/run", time.monotonic_ns(), msgspec.json.encode(recorder.run))
            self.sync()
        except OSError:
            self.abandon()
            path.unlink()
            raise

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._start_s

    def write(self, record: FrameRecord | EventRecord, frame_result: FrameResult | None) -> None:
        if isinstance(record, EventRecord):
            message = f"{record.event} {record.reason} {record.detail}".strip()
            level = WARNING if record.event in ("camera_lost", "gap", "degraded") else INFO
            fields = {"level": level, "message": message, "name": record.event}
            self._add("/log", record.mono_ns, self._stamp(record.mono_ns, fields))
            return
        self._add("/frames", record.mono_ns, msgspec.json.encode(record))
        if frame_result is not None:
            quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            jpeg = cv2.imencode(".jpg", draw_result(frame_result), quality)[1].tobytes()
            data = {"frame_id": "camera", "format": "jpeg", "data": base64.b64encode(jpeg).decode()}
            self._add("/overlay", record.mono_ns, self._stamp(record.mono_ns, data))

    def sync(self) -> None:
        if not os.fstat(self._file.fd).st_nlink:
            raise OSError(errno.ENOENT, "its file was removed")
        self._writer.flush()
        os.fsync(self._file.fd)

    def finish(self) -> None:
        try:
            self._writer.finish()
            os.fsync(self._file.fd)
        finally:
            os.close(self._file.fd)

    def abandon(self) -> None:
        """Close what cannot be finished; what it holds can be recovered."""
        os.close(self._file.fd)

    def _stamp(self, mono_ns: int, fields: dict[str, Any]) -> bytes:
        sec, nsec = divmod(self._recorder.steady_utc_ns(mono_ns), 10**9)
        return msgspec.json.encode({"timestamp": {"sec": sec, "nsec": nsec}, **fields})

    def _add(self, topic: str, mono_ns: int, data: bytes) -> None:
        at_ns = self._recorder.steady_utc_ns(mono_ns)
        self._writer.add_message(self._channels[topic], at_ns, data, at_ns)

    def _channel(self, topic: str) -> int:
        name, properties = SCHEMAS[topic]
        schema = msgspec.json.encode({"type": "object", "properties": properties})
        schema_id = self._writer.register_schema(name, "jsonschema", schema)
        return int(self._writer.register_channel(topic, "json", schema_id))


def recover_mcap(torn: BinaryIO, whole: BinaryIO) -> tuple[int, int]:
    """Copy every whole message; return how many, and how many bytes could not be used.

    A damaged chunk is left out, what follows it is not. Our files are not compressed, so that a
    chunk which is counts as damaged: it could unpack to any size.
    """
    writer = Writer(whole, chunk_size=COPY_CHUNK_BYTES, compression=CompressionType.NONE)
    writer.start(library="scnet-edge recover")
    copier = _Copier(writer)
    reader = StreamReader(_Bounded(torn), emit_chunks=True, record_size_limit=MAX_RECORD_BYTES)
    records, read_to, lost_bytes = iter(reader.records), len(MAGIC), 0
    while True:
        try:
            record = next(records)
        except StopIteration:
            read_to = torn.tell()  # past the magic at the end of a finished file
            break
        except TORN:
            break  # what follows is the torn tail
        try:
            for part in _parts(record):
                copier.copy(part)
        except TORN:
            lost_bytes += torn.tell() - read_to
        read_to = torn.tell()
    writer.finish()
    return copier.messages, lost_bytes + torn.seek(0, os.SEEK_END) - read_to


class _Bounded:
    """The little of a file that the reader uses; a length inside a record may be any number."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > MAX_RECORD_BYTES:
            raise ValueError(f"a part of {size} bytes")
        return self._file.read(size)


def _parts(record: McapRecord) -> list[McapRecord]:
    if not isinstance(record, Chunk):
        return [record]
    if record.compression:
        raise ValueError("a compressed chunk")
    parts: list[McapRecord] = breakup_chunk(record, validate_crc=True)
    return parts


class _Copier:
    """Writes records anew; ids are the new file's own."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._schemas = {0: 0}  # 0 stands for no schema
        self._channels: dict[int, int] = {}
        self.messages = 0

    def copy(self, record: McapRecord) -> None:
        """Write a schema, a channel or a message; the rest the writer makes itself."""
        if isinstance(record, Schema) and record.id not in self._schemas:
            self._schemas[record.id] = self._writer.register_schema(
                record.name, record.encoding, record.data
            )
        elif isinstance(record, Channel) and record.id not in self._channels:
            schema_id = self._schemas[record.schema_id]
            self._channels[record.id] = self._writer.register_channel(
                record.topic, record.message_encoding, schema_id, record.metadata
            )
        elif isinstance(record, Message):
            channel_id = self._channels[record.channel_id]
            self._writer.add_message(
                channel_id, record.log_time, record.data, record.publish_time, record.sequence
            )
            self.messages += 1
