"""Growth between two passes: the same cracks found by their place, their sizes held together."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from scnet_edge.errors import InputError
from scnet_edge.inspection.records import Figure, Observation
from scnet_edge.inspection.setup import Site
from scnet_edge.survey.codes import SURE_SIGMAS
from scnet_edge.survey.folder import Survey

Change: TypeAlias = Literal["grown", "shrunk", "unchanged", "not measured"]
PLACES = (  # of a site, by which two pipes are told apart, where both surveys name them
    ("pipe", "pipe_id"),
    ("place", "place"),
    ("node at the start", "from_node"),
    ("node at the end", "to_node"),
)
Places: TypeAlias = npt.NDArray[np.float64]  # (n, 2), metres along and around


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One crack in both surveys.

    Attributes:
        apart_m: how far apart the two were found, on the wall.
        length_growth_mm, width_growth_mm: later less earlier; of the width the 95th percentile.
            Sigma takes the two for independent, which is careful where camera and scale are one.
        change: `grown` or `shrunk` where 95 % of the uncertainty of either lies there.
    """

    before: int
    after: int
    apart_m: float
    length_growth_mm: Figure | None
    width_growth_mm: Figure | None
    change: Change


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two surveys of one pipe or wall, as `seq` of their observations.

    Attributes:
        appeared: only in the later one, where the earlier one had looked.
        vanished: only in the earlier one, where the later one has looked.
        not_seen: where the other did not look, or its place is not known: (of before, of after).
    """

    pairs: tuple[Pair, ...]
    appeared: tuple[int, ...]
    vanished: tuple[int, ...]
    not_seen: tuple[tuple[int, ...], tuple[int, ...]]


def compare_surveys(
    before: Survey, after: Survey, *, tolerance_m: float = 0.2, offset_m: float = 0.0
) -> Comparison:
    """Return what has changed from one survey to a later one.

    Args:
        before: the earlier survey.
        after: the later one.
        tolerance_m: cracks found further apart than this, on average along them, are two.
        offset_m: what to add to the later chainages, whose zero may lie elsewhere.

    Raises:
        InputError: the surveys are of two pipes or of two kinds, or have no positions.
    """
    _check(before, after)
    around_m = _around_m(before)
    old = {o.seq: _places(o, around_m, 0.0) for o in _candidates(before)}
    new = {o.seq: _places(o, around_m, offset_m) for o in _candidates(after)}
    matched = _match(old, new, around_m, tolerance_m)
    by_old = {o.seq: o for o in before.observations}
    by_new = {o.seq: o for o in after.observations}
    pairs = [_pair(by_old[one], by_new[other], apart) for one, other, apart in matched]
    lost = [o for o in _alone(before) if o.seq not in {pair.before for pair in pairs}]
    come = [o for o in _alone(after) if o.seq not in {pair.after for pair in pairs}]
    unseen = (
        tuple(o.seq for o in lost if not has_looked_at(after, o, -offset_m)),
        tuple(o.seq for o in come if not has_looked_at(before, o, offset_m)),
    )
    return Comparison(
        pairs=tuple(pairs),
        appeared=tuple(o.seq for o in come if o.seq not in unseen[1]),
        vanished=tuple(o.seq for o in lost if o.seq not in unseen[0]),
        not_seen=unseen,
    )


def has_looked_at(survey: Survey, observation: Observation, offset_m: float) -> bool:
    """Return whether a survey looked where another one's observation lies, at least its middle."""
    if observation.start_m is None or observation.end_m is None:
        return False
    middle_m = (observation.start_m + observation.end_m) / 2 + offset_m
    reach_m = survey.progress.chainage_m if survey.progress else None
    if reach_m is None or middle_m > reach_m + 0.5:  # a camera sees a little ahead
        return False
    missed = [(g.start_m, g.end_m) for g in survey.gaps]
    return not any(a <= middle_m <= b for a, b in missed if a is not None and b is not None)


def _check(before: Survey, after: Survey) -> None:
    sites = before.facts.site, after.facts.site
    for what, one, other in (
        ("geometry", _kind(before), _kind(after)),
        ("diameter", *(s.facts.geometry.get("diameter_mm") for s in (before, after))),
        *((label, *(_comparable_name(site, name) for site in sites)) for label, name in PLACES),
    ):
        if one != other and not (what in dict(PLACES) and "" in (one, other)):
            raise InputError(
                f"{before.folder} and {after.folder}: {what} {one} and {other}, expected the same"
            )
    for survey in (before, after):
        if _alone(survey) and not _candidates(survey):
            raise InputError(
                f"{survey.folder}: no positions to compare by; inspect with --odometry and a scale"
            )


def _comparable_name(site: Site, name: str) -> str:
    """Return what a site calls a place, for comparing: letters alone tell them apart."""
    text: str = getattr(site, name)
    return " ".join(text.split()).casefold()


def _kind(survey: Survey) -> str:
    return "wall" if survey.facts.mode == "wall" else "pipe"


def _around_m(survey: Survey) -> float | None:
    diameter_mm = survey.facts.geometry.get("diameter_mm")
    if survey.facts.mode == "wall" or diameter_mm is None:
        return None
    return math.pi * float(diameter_mm) / 1000


def _candidates(survey: Survey) -> list[Observation]:
    return [o for o in _alone(survey) if o.outline_m_h]


def _alone(survey: Survey) -> list[Observation]:
    return [o for o in survey.observations if o.review != "rejected"]


def _places(observation: Observation, around_m: float | None, offset_m: float) -> Places:
    places = np.array(observation.outline_m_h, float)
    places[:, 0] += offset_m
    if around_m is not None:
        places[:, 1] *= around_m / 12
    return places


def _match(
    old: dict[int, Places], new: dict[int, Places], around_m: float | None, tolerance_m: float
) -> list[tuple[int, int, float]]:
    """Return (before, after, metres apart), the nearest first, each crack at most once."""
    found = [
        (apart_m, one, other)
        for one, places in old.items()
        for other, others in new.items()
        if (apart_m := _apart_m(places, others, around_m)) <= tolerance_m
    ]
    matched: list[tuple[int, int, float]] = []
    for apart_m, one, other in sorted(found):
        if all(one != a and other != b for a, b, _ in matched):
            matched.append((one, other, apart_m))
    return sorted(matched)


def _apart_m(one: Places, other: Places, around_m: float | None) -> float:
    """Return how far the points of the shorter one lie from the other on average."""
    way = one[:, None] - other[None]  # (n, m, 2)
    if around_m is not None:
        way[..., 1] = (way[..., 1] + around_m / 2) % around_m - around_m / 2
    distance = np.hypot(way[..., 0], way[..., 1])
    return float(min(distance.min(axis=1).mean(), distance.min(axis=0).mean()))


def _pair(before: Observation, after: Observation, apart_m: float) -> Pair:
    length = _growth(before.length_mm, after.length_mm)
    width = _growth(before.width_p95_mm, after.width_p95_mm)
    known = [figure for figure in (length, width) if figure is not None]
    change: Change = "unchanged" if known else "not measured"
    if any(figure.value > SURE_SIGMAS * figure.sigma for figure in known):
        change = "grown"
    elif any(figure.value < -SURE_SIGMAS * figure.sigma for figure in known):
        change = "shrunk"
    return Pair(
        before=before.seq,
        after=after.seq,
        apart_m=apart_m,
        length_growth_mm=length,
        width_growth_mm=width,
        change=change,
    )


def _growth(before: Figure | None, after: Figure | None) -> Figure | None:
    if before is None or after is None:
        return None
    return Figure(after.value - before.value, math.hypot(after.sigma, before.sigma))
