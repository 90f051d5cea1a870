"""An MCAP file that is damaged or lacks its end, copied into one that is whole.

A damaged chunk is left out, what follows it is not. Our files are not compressed, so that a chunk
which is counts as damaged: it could unpack to any size.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from mcap.exceptions import McapError
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import CRCValidationError, StreamReader, breakup_chunk
from mcap.writer import CompressionType, Writer

MAGIC = b"\x89MCAP0\r\n"
CHUNK_BYTES = 1 << 20
MAX_RECORD_BYTES = 64 * 2**20
TORN = (McapError, CRCValidationError, struct.error, UnicodeDecodeError, ValueError, KeyError)


def recover_mcap(torn: BinaryIO, whole: BinaryIO) -> tuple[int, int]:
    """Copy every whole message; return how many, and how many bytes could not be used."""
    writer = Writer(whole, chunk_size=CHUNK_BYTES, compression=CompressionType.NONE)
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
