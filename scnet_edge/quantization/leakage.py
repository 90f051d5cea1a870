"""No picture may both calibrate and judge: leaks between the two are found by perceptual hash.

A picture is known again when it is mirrored, and by a tile that we cut out of it; not when somebody
else cut it out of a larger one or turned it by a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence

from scnet_edge.errors import InputError
from scnet_edge.quantization.annotated_frames import Annotated
from scnet_edge.quantization.frame_candidates import CandidateFrame
from scnet_edge.quantization.perceptual_hash import (
    bits,
    every_way,
    is_shown_in,
    public_test_splits,
    same_picture,
)
from scnet_edge.quantization.ranges import CalibrationFile
from scnet_edge.types import Frame


def refuse_leaks(
    candidates: Sequence[CandidateFrame], evaluation: dict[str, list[str]]
) -> tuple[list[CandidateFrame], list[str]]:
    """Return the candidates without twins, and the names of those; refuse frames of a test split.

    Args:
        candidates: Frames that could calibrate.
        evaluation: More splits, as hashes, beside those of the public data sets.

    Raises:
        InputError: a frame is a picture of an evaluation split.
    """
    public = public_test_splits()
    known = bits(list(public.twins))
    rest, twins = list[CandidateFrame](), list[str]()
    for c in candidates:
        if same_picture(c.picture_ways[0], known):
            twins.append(c.name)
        else:
            rest.append(c)
    ways = [list(c.picture_ways) for c in rest]
    for split, hashes in (public.splits | evaluation).items():
        table = bits(hashes)
        leaked = [c.name for c, way in zip(rest, ways, strict=True) if is_shown_in(way, table)]
        if leaked:
            raise InputError(
                f"{len(leaked)} of {len(candidates)} frames are of the evaluation split {split!r} "
                f"({', '.join(leaked[:3])}{', ...' if len(leaked) > 3 else ''}); scores on it "
                "would be worthless, so take them out"
            )
    return rest, twins


def without_validation(
    candidates: Sequence[CandidateFrame], validation: Sequence[Frame]
) -> list[CandidateFrame]:
    """Return the candidates without the pictures that validation keeps for itself."""
    table = bits([way for frame in validation for way in every_way(frame)])
    return [c for c in candidates if not same_picture(c.picture_ways[0], table)]


def refuse_calibration_frames(frames: Sequence[Annotated], calibration: CalibrationFile) -> None:
    """Raise InputError when the gate would judge on pictures that the ranges come from."""
    table = bits([frame.phash for frame in calibration.frames.values()])
    seen = [a.name for a in frames if is_shown_in(every_way(a.read()[0]), table)]
    if seen:
        raise InputError(
            f"{len(seen)} of {len(frames)} frames of the gate calibrated the ranges "
            f"({', '.join(seen[:3])}{', ...' if len(seen) > 3 else ''}); gate on others"
        )
