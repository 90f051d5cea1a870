"""Which pictures of a stream may be smeared: after damage, until a picture stands for itself."""

from __future__ import annotations

import av

DOUBT_S = 12.0  # the longest time without a key frame that is waited for one


class Damage:
    """Follows what a decoder gives. Pictures are made from those before them, key frames are not.

    FFmpeg's decoders show what they could patch up; a crack in it need not be one.
    """

    def __init__(self) -> None:
        self._since_s: float | None = None  # when the last damage was; None without doubt
        self._torn = set[int]()  # the pts of packets that are not whole

    def note(self, time_s: float, torn_pts: int | None = None) -> None:
        """Take damage: data that is missing or does not decode, or a packet that is torn."""
        self._since_s = time_s
        if torn_pts is not None:
            self._torn.add(torn_pts)

    def touches(self, frame: av.VideoFrame, time_s: float) -> bool:
        """Return whether a frame is damaged, or made from one that was."""
        if frame.is_corrupt or frame.pts in self._torn:
            self._since_s = time_s
            return True
        since_s = self._since_s
        if since_s is not None and (frame.key_frame or time_s - since_s > DOUBT_S):
            self._since_s = None
        return self._since_s is not None
