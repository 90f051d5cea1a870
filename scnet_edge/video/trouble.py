"""Why a camera gives no frames, inside the capture process; a `camera_lost` event outside it."""

from __future__ import annotations


class CameraTrouble(Exception):
    """A camera cannot be opened, or gives no more.

    Attributes:
        reason: a short word to count by.
        detail: one line for people.
        hopeless: another try would end the same way.
    """

    def __init__(self, reason: str, detail: str, *, hopeless: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.hopeless = hopeless
