"""Whether the wall clock can be believed; all that waits or measures uses the monotonic one."""

from __future__ import annotations

import ctypes
import platform

STA_UNSYNC = 0x0040  # of linux/timex.h
TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """The head of Linux' struct timex; the rest is room for what the kernel writes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


def clock_synced() -> bool | None:
    """Return whether the kernel says that the wall clock follows a time server.

    One system call, without privileges and without a process; None off Linux and where a sandbox
    forbids it.
    """
    if platform.system() != "Linux":
        return None
    timex = _Timex()
    state = _adjtimex()(ctypes.byref(timex))
    if state < 0:
        return None
    return state != TIME_ERROR and not timex.status & STA_UNSYNC


def _adjtimex() -> ctypes._NamedFuncPointer:
    return ctypes.CDLL(None).adjtimex
