"""No picture may both calibrate and judge: leaks between the two are found by perceptual hash."""

from __future__ import annotations

from collections.abc import Sequence

from scnet_edge.data.datasets import open_dataset
from scnet_edge.errors import InputError
from scnet_edge.graph.ranges import CalibrationFile
from scnet_edge.int8.annotated import Annotated
from scnet_edge.int8.candidates import Candidate
from scnet_edge.int8.hashing import bits, phash, public_test_splits, same_picture


def refuse_leaks(
    candidates: Sequence[Candidate], evaluation: dict[str, list[str]]
) -> tuple[list[Candidate], list[str]]:
    """Return the candidates without twins, and the names of those; refuse frames of a test split.

    Args:
        candidates: Frames that could calibrate.
        evaluation: More splits, as hashes, beside those of the public data sets.

    Raises:
        InputError: a frame is a picture of an evaluation split.
    """
    public = public_test_splits()
    twins = [c for c in candidates if c.phash in public.twins]
    rest = [c for c in candidates if c.phash not in public.twins]
    for split, hashes in (public.splits | evaluation).items():
        table = bits(hashes)
        leaked = [c.name for c in rest if same_picture(c.phash, table)]
        if leaked:
            raise InputError(
                f"{len(leaked)} of {len(candidates)} frames are of the evaluation split {split!r} "
                f"({', '.join(leaked[:3])}{', ...' if len(leaked) > 3 else ''}); scores on it "
                "would be worthless, so take them out"
            )
    return rest, [c.name for c in twins]


def evaluation_hashes(specs: Sequence[str]) -> dict[str, list[str]]:
    """Return the hashes of users' own test splits, NAME:DIR, for `refuse_leaks`."""
    return {spec: [phash(s.read_frame()) for s in open_dataset(spec, "test")] for spec in specs}


def held_back(candidates: Sequence[Candidate], validation: Sequence[Annotated]) -> list[Candidate]:
    """Return the candidates without the pictures that validation keeps for itself."""
    if not validation:
        return list(candidates)
    table = bits([phash(annotated.read()[0]) for annotated in validation])
    return [c for c in candidates if not same_picture(c.phash, table)]


def refuse_calibration_frames(frames: Sequence[Annotated], calibration: CalibrationFile) -> None:
    """Raise InputError when the gate would judge on pictures that the ranges come from."""
    table = bits([frame.phash for frame in calibration.frames.values()])
    seen = [a.name for a in frames if same_picture(phash(a.read()[0]), table)]
    if seen:
        raise InputError(
            f"{len(seen)} of {len(frames)} frames of the gate calibrated the ranges "
            f"({', '.join(seen[:3])}{', ...' if len(seen) > 3 else ''}); gate on others"
        )
