"""What one graph makes of annotated frames, beside what FP32 makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from scnet_edge.data.frames import resize
from scnet_edge.data.masks import Truth
from scnet_edge.engines.base import Backend
from scnet_edge.evaluation.bootstrap import paired_interval
from scnet_edge.evaluation.metrics import Counts, add_up, count, ods, score_at, threshold_index
from scnet_edge.inspection.tracing import MIN_AREA_PX
from scnet_edge.quantization.annotated_frames import Annotated, mean_width_px
from scnet_edge.quantization.frame_candidates import red_minus_blue
from scnet_edge.types import Map, Mask

Progress = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class GraphScores:
    """One graph on all frames, in their order.

    Attributes:
        counts: Pixels right and wrong, per frame.
        probabilities: (h, w) float16 each.
        edges: (h, w) float32 HED maps, where they were asked for and there are any.
        finite: False once a probability was not a number.
    """

    threshold: float
    counts: list[Counts] = field(default_factory=list)
    probabilities: list[npt.NDArray[np.float16]] = field(default_factory=list)
    edges: list[Map] = field(default_factory=list)
    finite: bool = True

    @property
    def f1(self) -> float:
        """F1 over all pixels at the threshold that ships."""
        return score_at(add_up(self.counts), self.threshold).f1

    @property
    def best_threshold(self) -> float:
        """The threshold that would have been best on these frames."""
        return ods(add_up(self.counts)).threshold

    @property
    def crack_share(self) -> list[float]:
        """Share of each frame that is called crack."""
        index = threshold_index(self.threshold)
        sizes = [p.size for p in self.probabilities]
        return [int(c.predicted[index]) / n for c, n in zip(self.counts, sizes, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What decides the strata of a frame."""

    data: str
    tags: frozenset[str]
    brightness: float
    width_px: float  # 0 where there is no crack
    red_minus_blue: float  # mean of red minus blue, in grey levels


def score(
    backend: Backend,
    frames: Sequence[Annotated],
    frame_hw: tuple[int, int],
    threshold: float,
    reference: GraphScores | None = None,
    *,
    keep_edges: bool = False,
) -> GraphScores:
    """Return the scores of a graph; with a reference its masks stand in for missing annotations."""
    scores = GraphScores(threshold=threshold)
    for i, annotated in enumerate(frames):
        frame, truth = annotated.read()
        outputs = backend.run({"frame": resize(frame, frame_hw)[None]})
        probability = resize(_finite(outputs["probability"][0], scores), frame.shape[:2])
        if truth is None:
            found = probability if reference is None else reference.probabilities[i]
            truth = Truth(mask_of(found, threshold))
        scores.counts.append(count(probability, truth.crack, ignored=truth.ignored))
        scores.probabilities.append(probability.astype(np.float16))
        if keep_edges and "edges" in outputs:
            scores.edges.append(outputs["edges"][0])
    return scores


def _finite(probability: Map, scores: GraphScores) -> Map:
    """Return the map without NaN, which would spread when it is resized, and note that it had."""
    if np.isfinite(probability).all():
        return probability
    scores.finite = False
    return np.nan_to_num(probability, nan=0, posinf=1, neginf=0)


def traits(frames: Sequence[Annotated]) -> list[Traits]:
    """Return what decides the strata, frame by frame."""
    found = []
    for annotated in frames:
        frame, truth = annotated.read()
        width_px = 0.0 if truth is None else mean_width_px(truth.crack)
        found.append(
            Traits(
                data=annotated.data,
                tags=annotated.tags,
                brightness=float(frame.mean()),
                width_px=width_px,
                red_minus_blue=red_minus_blue(frame),
            )
        )
    return found


def mask_of(probability: Map | npt.NDArray[np.float16], threshold: float) -> Mask:
    """Return where a map calls crack."""
    return np.asarray(probability.astype(np.float32) >= threshold)


def finds_crack(scores: GraphScores, i: int) -> bool:
    """Return whether a frame's mask has a crack that would be reported."""
    mask = mask_of(scores.probabilities[i], scores.threshold).astype(np.uint8)
    stats = cv2.connectedComponentsWithStats(mask, connectivity=8)[2]  # the background comes first
    return bool(stats[1:, cv2.CC_STAT_AREA].max(initial=0) >= MIN_AREA_PX)


def agreement(ours: GraphScores, reference: GraphScores) -> float:
    """Return the share of all pixels whose masks agree."""
    pairs = zip(ours.probabilities, reference.probabilities, strict=True)
    equal = [(mask_of(a, ours.threshold) == mask_of(b, ours.threshold)) for a, b in pairs]
    return float(sum(int(e.sum()) for e in equal) / sum(e.size for e in equal))


def mean_error(ours: GraphScores, reference: GraphScores) -> float:
    """Return the mean absolute difference of the probabilities."""
    pairs = zip(ours.probabilities, reference.probabilities, strict=True)
    return float(np.mean([np.abs(a.astype(np.float32) - b).mean() for a, b in pairs]))


def f1_of(scores: GraphScores, members: Sequence[int]) -> float:
    """Return F1 over some of the frames."""
    return score_at(add_up([scores.counts[i] for i in members]), scores.threshold).f1


def bound_loss(ours: GraphScores, reference: GraphScores) -> tuple[float, float]:
    """Return the 95 % interval of the F1 that is lost, the same frames drawn for both."""
    return paired_interval(
        [reference.counts], [ours.counts], lambda counts: score_at(counts, ours.threshold).f1
    )
