"""From what a user names to the frames that calibrate and those that compare the methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.samples import Sample
from scnet_edge.errors import InputError, escape
from scnet_edge.models.sizes import SizeHW
from scnet_edge.quantization.annotated_frames import (
    Annotated,
    draw_frames,
    frames_without_masks,
    name_drawn,
    validation_frames,
)
from scnet_edge.quantization.choose_frames import (
    choose_frames,
    evenly_spaced,
    refuse_leaks,
    refuse_useless,
    without_repeats,
    without_validation,
)
from scnet_edge.quantization.frame_candidates import (
    CandidateFrame,
    TileScale,
    find_swapped_colours,
    open_detector,
    read_candidates,
    red_minus_blue,
)
from scnet_edge.quantization.perceptual_hash import phash

VALIDATION_FRAMES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Frames for a calibration, and what became of those that were read.

    Attributes:
        chosen: What calibrates, each with the cell it stands for.
        judged: What compares the methods, called `judged_name`.
        source: What the chosen frames are and how they were chosen.
        read: How many candidates there were.
        validating: Of these, how many the validation keeps for itself.
        repeats: How many repeat another.
        twins: How many a public data set repeats in its own test split.
    """

    chosen: list[tuple[CandidateFrame, str]]
    judged: list[Annotated]
    judged_name: str
    source: str
    read: int
    validating: int
    repeats: int
    twins: int


def gather(
    sources: list[str],
    wanted: int,
    size_hw: SizeHW,
    *,
    validation: str | None = None,
    evaluation: Sequence[str] = (),
    colours_checked: bool = False,
    scale: TileScale | None = None,
) -> Gathered:
    """Return the frames to calibrate on, chosen from sources.

    Args:
        sources: As `read_candidates` takes them.
        wanted: How many to choose.
        size_hw: The size of the networks.
        validation: NAME:DIR whose training split gives the frames that compare the methods.
        evaluation: NAME:DIR of test splits that must not calibrate.
        colours_checked: Do not compare the order of the colours with that of these two.
        scale: As `read_candidates` takes it.

    Raises:
        InputError: a source cannot be read, frames are of a test split, useless or swapped.
    """
    kept, name = validation_frames(validation) if validation else ([], "")
    tests = {spec: _looks(open_dataset(spec, "test")) for spec in evaluation}
    with open_detector() as (detect, threshold):
        found = read_candidates(sources, wanted, size_hw, detect, threshold, scale)
    whole, twins = refuse_leaks(found, {k: [look for look, _ in v] for k, v in tests.items()})
    validating = [annotated.read()[0] for annotated in kept]
    free = without_validation(whole, validating)
    distinct = without_repeats(free)
    refuse_useless(distinct, len(found))
    chosen = choose_frames(distinct, wanted)
    if not colours_checked:
        theirs = [red_minus_blue(frame) for frame in validating]
        refuse_swapped(chosen, theirs + [tint for split in tests.values() for _, tint in split])
    if not kept:
        kept, name = _stand_ins(distinct, chosen, size_hw)
    return Gathered(
        chosen=chosen,
        judged=kept,
        judged_name=name,
        source=f"{len(chosen)} of {len(found)} frames of {_short(sources)} at "
        f"{size_hw[0]}x{size_hw[1]}, by crack area, light, blur and look",
        read=len(found),
        validating=len(whole) - len(free),
        repeats=len(free) - len(distinct),
        twins=len(twins),
    )


def _looks(samples: Sequence[Sample]) -> list[tuple[str, float]]:
    """Return the perceptual hash and the red_minus_blue of each frame, one in memory at a time."""
    return [(phash(frame), red_minus_blue(frame)) for frame in (s.read_frame() for s in samples)]


def refuse_swapped(chosen: Sequence[tuple[CandidateFrame, str]], theirs: Sequence[float]) -> None:
    """Raise InputError when red and blue look swapped beside the frames that validate or test.

    Args:
        chosen: What calibrates.
        theirs: The red_minus_blue of frames that validate or test.
    """
    ours = [c.red_minus_blue for c, _ in chosen]
    if why := find_swapped_colours(ours, theirs, "--validation and --evaluation"):
        raise InputError(f"expected colours in the same order throughout, found {why}")


def _stand_ins(
    distinct: Sequence[CandidateFrame],
    chosen: Sequence[tuple[CandidateFrame, str]],
    size_hw: SizeHW,
) -> tuple[list[Annotated], str]:
    """Return what compares the methods where no annotated frames were given, and its name."""
    taken = {candidate.name for candidate, _ in chosen}
    rest = [candidate for candidate in distinct if candidate.name not in taken]
    if len(rest) < VALIDATION_FRAMES // 2:
        return draw_frames(size_hw), name_drawn()
    few = evenly_spaced(rest, VALIDATION_FRAMES)
    name = f"the masks of FP32 on {len(few)} frames that were not chosen"
    return frames_without_masks([(c.name, c.frame) for c in few]), name


def _short(sources: Sequence[str]) -> str:
    return escape(", ".join("/".join(Path(source).parts[-2:]) for source in sources))
