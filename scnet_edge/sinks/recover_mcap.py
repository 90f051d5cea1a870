"""An MCAP file without its end, copied up to its last whole message into one that has an end."""

from __future__ import annotations

import struct
from typing import BinaryIO

from mcap.exceptions import McapError
from mcap.records import Channel, McapRecord, Message, Schema
from mcap.stream_reader import CRCValidationError, StreamReader
from mcap.writer import CompressionType, Writer

MAGIC = b"\x89MCAP0\r\n"
CHUNK_BYTES = 1 << 20
MAX_RECORD_BYTES = 64 * 2**20
TORN = (McapError, CRCValidationError, struct.error, UnicodeDecodeError)  # a ValueError, both


def recover_mcap(torn: BinaryIO, whole: BinaryIO) -> tuple[int, int]:
    """Copy every whole message; return how many, and where in `torn` the last good record ends."""
    writer = Writer(whole, chunk_size=CHUNK_BYTES, compression=CompressionType.NONE)
    writer.start(library="scnet-edge recover")
    copier = _Copier(writer)
    reader = StreamReader(torn, validate_crcs=True, record_size_limit=MAX_RECORD_BYTES)
    good_end = len(MAGIC)
    try:
        for record in reader.records:
            copier.copy(record)
            good_end = torn.tell()
        good_end = torn.tell()  # past the magic at the end of a finished file
    except TORN:
        pass  # what follows is the torn tail
    writer.finish()
    return copier.messages, good_end


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
