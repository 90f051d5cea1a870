"""A corpus as training images: each with its share, and with what is drawn besides."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from scnet_edge.data.blend import Light, MadeSample, shading
from scnet_edge.data.corpus import Corpus, CorpusSet, by_domain
from scnet_edge.data.filming import plain_frame
from scnet_edge.data.samples import Sample
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.simulation.cracks import draw_crack, truth_mask
from scnet_edge.simulation.pipe import fractal
from scnet_edge.simulation.pipe_views import draw_pipe_view
from scnet_edge.simulation.wall_views import draw_wall_view
from scnet_edge.training.images import TrainingImage, blend_cracks, load_images, share_out
from scnet_edge.training.material import HELD_OUT, draw_pipes, is_twin
from scnet_edge.types import Frame, Map, Mask

SURFACE_HW = (300, 400)
PLAIN = 160  # how many frames are drawn
BLENDED_HELD = 40  # how many images with a blended crack choose a decision, of each domain
BLENDED_INTO = "blended-into-"
UNSEEN = 60  # of a set that trained nothing, how many choose a decision
CRACK_PICTURES = 240  # at most so many images lend their cracks
SEED = 20_000
ViewKind: TypeAlias = Literal["pipe", "wall"]
Held: TypeAlias = dict[str, list[Sample]]


def load_corpus(
    corpus: Corpus, report: Callable[[str], None] = lambda line: None, *, seed: int = 0
) -> tuple[list[TrainingImage], Held]:
    """Return the training images, and by domain those held out, which choose the threshold.

    Of the training split of each set every tenth image is held out.

    Args:
        corpus: What trains.
        report: Told what each set has.
        seed: Of what is drawn: another run sees other pipes.

    Raises:
        ScnetEdgeError: a set cannot be read, or has too few images.
    """
    images: list[TrainingImage] = []
    lent: list[TrainingImage] = []
    taking: list[TrainingImage] = []
    seen: list[TrainingImage] = []
    for each in corpus.sets:
        if not each.share:
            continue
        fit = [sample for i, sample in enumerate(_trainable(each)) if i % HELD_OUT]
        if not fit:
            raise InputError(f"set {each.name!r}: expected 2 training images, found 1; add some")
        if fit[0].role == "image-level":
            raise ConfigError(f"set {each.name!r} has no masks to learn from; give it a share of 0")
        loaded = share_out(load_images(fit, None), each.share, taught=each.taught)
        images += loaded
        lent += loaded if each.lends else []
        taking += loaded if each.takes else []
        report(f"{each.name}: {len(fit)} images, share {each.share:g}")
    if corpus.drawn:
        pipes = draw_pipes(seed=seed)
        images += share_out(pipes, corpus.drawn, taught=False)
        taking += pipes
    shares: dict[ViewKind, float] = {"pipe": corpus.pipe_views, "wall": corpus.wall_views}
    for kind, share in shares.items():
        if share:
            views = draw_views(
                kind,
                known(lent),
                known(taking),
                np.random.default_rng([seed, ord(kind[0])]),
                count=corpus.views,
            )
            images += share_out(views, share, taught=False)
            report(f"{len(views)} {kind} views, share {share:g}")
            seen += [view for view in views if not view.mask.any()]
    taking += seen
    if corpus.plain:
        images += share_out(plain_images(), corpus.plain, taught=False)
    if corpus.blended:
        cracks = lend_cracks(lent)
        report(f"{len(cracks)} images lend their cracks to {len(taking)} others")
        takers = [dataclasses.replace(image, cracks=cracks) for image in taking]
        images += share_out(takers, corpus.blended, taught=False)
    return images, hold_out(corpus)


def hold_out(corpus: Corpus, unseen: Collection[str] = ()) -> Held:
    """Return by domain the images that trained nothing: every tenth of each set that trains.

    Where cracks are blended, a domain of held-out cracks in held-out places is added for each
    domain that takes them: without it a decision would be chosen by which a net is quiet in pipes
    because it sees nothing there.

    Args:
        corpus: What a net learnt from, or what its decision shall be good for.
        unseen: Sets that the net did not learn from; of each, `UNSEEN` images at most are taken.

    Raises:
        ScnetEdgeError: a set cannot be read.
    """

    def keep(each: CorpusSet) -> list[Sample]:
        samples = _trainable(each)
        return samples[:: max(1, len(samples) // UNSEEN) if each.name in unseen else HELD_OUT]

    training = [each for each in corpus.sets if each.share]
    held: Held = {
        domain: [sample for each in sets for sample in keep(each)]
        for domain, sets in by_domain(training).items()
    }
    if corpus.blended:
        lent = [sample for each in training if each.lends for sample in keep(each)]
        cracks, rng = lend_cracks(load_images(lent, None)), np.random.default_rng(SEED)
        for domain, sets in by_domain([each for each in training if each.takes]).items():
            onto = load_images([sample for each in sets for sample in keep(each)], None)
            takers = [dataclasses.replace(image, cracks=cracks) for image in onto]
            made = [blend_cracks(takers[i % len(takers)], rng) for i in range(BLENDED_HELD)]
            held[BLENDED_INTO + domain] = [
                MadeSample(Path(f"{i}"), Path(f"{i}"), "crack", image.frame, image.mask)
                for i, image in enumerate(made)
                if image.mask.any()
            ]
    return held


def _trainable(each: CorpusSet) -> list[Sample]:
    return [sample for sample in each.samples("train") if not is_twin(sample)]


def known(images: Sequence[TrainingImage]) -> list[TrainingImage]:
    """Return the images of which all is known: what is drawn of the others might show a crack."""
    return [image for image in images if image.ignored is None]


def draw_views(
    kind: ViewKind,
    lent: Sequence[TrainingImage],
    taking: Sequence[TrainingImage],
    rng: np.random.Generator,
    *,
    count: int,
) -> list[TrainingImage]:
    """Return views of pipes or walls made of images: a half cracked, others sound or of one tone.

    Args:
        kind: What is drawn.
        lent: Images with cracks.
        taking: Images without any.
        rng: Draws them.
        count: How many views are drawn.
    """
    views = []
    for number in range(count):
        of = lent if number % 2 else taking
        if number % 8 == 0:  # plastic, paint
            frame, mask = _draw_surface(rng)
        else:
            image = of[int(rng.integers(len(of)))]
            frame, mask = image.frame, image.mask
        view = (draw_pipe_view if kind == "pipe" else draw_wall_view)(frame, mask, rng)
        views.append(TrainingImage(view.frame, view.mask, None, view.ignored))
    return views


def _draw_surface(rng: np.random.Generator) -> tuple[Frame, Mask]:
    """Return a surface of one tone with a little dirt, half of the time with thin, smooth cuts."""
    tone = rng.uniform(40, 230) * rng.uniform(0.7, 1.2, 3)
    dirt = np.zeros(SURFACE_HW, np.float32)
    for cell in (120.0, 30.0, 6.0):
        dirt += np.float32(rng.uniform(0, 0.1)) * fractal(rng, SURFACE_HW, (cell,))
    cuts = _draw_cuts(rng) if rng.random() < 0.5 else np.zeros(SURFACE_HW, np.float32)
    shade = (1 + dirt) * (1 - rng.uniform(0.25, 0.9) * cuts)
    return np.clip(tone * shade[..., None], 0, 255).astype(np.uint8), truth_mask(cuts)


def _draw_cuts(rng: np.random.Generator) -> Map:
    """Return how much of each pixel cuts cover: nearly straight, and of one width each."""
    h, w = SURFACE_HW
    cuts = np.zeros(SURFACE_HW, np.float32)
    for _ in range(int(rng.integers(1, 4))):
        turn, length = rng.uniform(0, np.pi), rng.uniform(40, 300)
        along = np.linspace(-length / 2, length / 2, 24)
        aside = rng.normal(0, 0.06) * length * (2 * along / length) ** 2
        points = rng.uniform((0, 0), (w, h)) + along[:, None] * (np.cos(turn), np.sin(turn))
        points += aside[:, None] * (-np.sin(turn), np.cos(turn))
        cuts = np.maximum(cuts, draw_crack(points, float(rng.uniform(1.2, 4)), SURFACE_HW))
    return cuts


def plain_images() -> list[TrainingImage]:
    """Return drawn frames without any feature, or with on-screen text and borders alone."""
    rng = np.random.default_rng(SEED)
    frames = [plain_frame((384, 544), rng) for _ in range(PLAIN)]
    return [TrainingImage(f, np.zeros(f.shape[:2], np.bool_), None) for f in frames]


def lend_cracks(lent: list[TrainingImage]) -> list[tuple[Light, Mask]]:
    """Return the light and the mask of the cracks of `CRACK_PICTURES` images.

    Raises:
        InputError: no image has a crack.
    """
    cracked = [image for image in lent if image.mask.any()]
    if not cracked:
        raise InputError("no image of the sets that lend has a crack; let another set lend")
    order = np.random.default_rng(SEED).permutation(len(cracked))[:CRACK_PICTURES]
    return [(shading(cracked[i].frame, cracked[i].mask), cracked[i].mask) for i in order]
