import ctypes
import platform

import pytest

from scnet_edge.machine import clock


@pytest.mark.skipif(platform.system() != "Linux", reason="asks Linux")
@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [(0, 0, True), (5, 0, False), (0, 0x40, False), (5, 0x40, False), (-1, 0, None)],
)
def test_what_the_kernel_answers(
    monkeypatch: pytest.MonkeyPatch, state: int, status: int, expected: bool | None
) -> None:
    def adjtimex(timex: object) -> int:
        timex._obj.status = status
        return state

    monkeypatch.setattr(clock, "_adjtimex", lambda: adjtimex)
    assert clock.clock_synced() is expected


@pytest.mark.skipif(platform.system() != "Linux", reason="asks Linux")
def test_the_kernel_itself_answers() -> None:
    assert clock.clock_synced() in (True, False, None)
    assert ctypes.sizeof(clock._Timex) >= 208  # of struct timex on 64 bit
