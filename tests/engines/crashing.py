"""Backends that misbehave as native code does, for a child process to open by name."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from scnet_edge.engines.base import Array
from scnet_edge.engines.fake import FakeBackend
from scnet_edge.errors import GraphError

BLACK = 0  # a frame that is black all over makes the engine misbehave


class _Crashing(FakeBackend):
    name = "crashing"

    def __init__(self, how: str) -> None:
        super().__init__((32, 48))
        self._how = how

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        if feeds["frame"].max() == BLACK:
            if self._how == "hang":
                time.sleep(60)
            if self._how == "refuse":
                raise GraphError("node 7 cannot run")
            os.abort()
        return super().run(feeds)


def starved() -> FakeBackend:
    raise MemoryError


def crash_on_black() -> FakeBackend:
    return _Crashing("abort")


def hang_on_black() -> FakeBackend:
    return _Crashing("hang")


def refuse_black() -> FakeBackend:
    return _Crashing("refuse")


def refuse_the_graph() -> FakeBackend:
    raise GraphError("node 7 cannot be parsed")


def crash_while_loading(starts: str = "") -> FakeBackend:
    if starts:  # a file with one byte for each time we were started
        with Path(starts).open("ab") as f:
            f.write(b".")
    os.abort()


def sound() -> FakeBackend:
    return FakeBackend((32, 48))
