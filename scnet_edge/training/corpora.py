"""A corpus as training images: each with its share, and with what is drawn besides."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from scnet_edge.data.blend import blend, shading
from scnet_edge.data.corpus import Corpus, CorpusSet, by_domain
from scnet_edge.data.filming import plain_frame
from scnet_edge.data.pasted import MadeSample
from scnet_edge.data.samples import Sample
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.training.images import TrainingImage, load_images, sharing
from scnet_edge.training.material import HELD_OUT, draw_pipes, is_twin

PLAIN, BLENDED = 160, 500  # how many frames are drawn, and how many cracks are blended
BLENDED_HELD = 60  # how many to choose a threshold by
CRACK_PICTURES = 240  # of the sets that lend, as many as these lend to the pictures
SEED = 20_000
Held: TypeAlias = dict[str, list[Sample]]


def load_corpus(
    corpus: Corpus, report: Callable[[str], None] = lambda line: None
) -> tuple[list[TrainingImage], Held]:
    """Return the training images, and by domain those held out, which choose the threshold.

    Of the training split of each set every tenth image is held out.

    Raises:
        ScnetEdgeError: a set cannot be read, or has too few images.
    """
    images: list[TrainingImage] = []
    lent: list[TrainingImage] = []
    taking: list[TrainingImage] = []
    for each in corpus.sets:
        if not each.share:
            continue
        fit = [sample for i, sample in enumerate(_trainable(each)) if i % HELD_OUT]
        if not fit:
            raise InputError(f"set {each.name!r}: expected 2 training images, found 1; add some")
        if fit[0].role == "image-level":
            raise ConfigError(f"set {each.name!r} has no masks to learn from; give it a share of 0")
        loaded = sharing(load_images(fit, None), each.share, taught=each.taught)
        images += loaded
        lent += loaded if each.lends else []
        taking += loaded if each.takes else []
        report(f"{each.name}: {len(fit)} images, share {each.share:g}")
    if corpus.drawn:
        pipes = draw_pipes()
        images += sharing(pipes, corpus.drawn, taught=False)
    if corpus.plain:
        images += sharing(plain_images(), corpus.plain, taught=False)
    if corpus.blended:
        blends = blended_images(lent, taking)
        report(f"{len(blends)} images with a crack of another blended in")
        images += sharing(blends, corpus.blended, taught=False)
    return images, held_out(corpus)


def held_out(corpus: Corpus) -> Held:
    """Return by domain the images that train nothing: every tenth of each set that trains.

    Where cracks are blended, a domain of held-out cracks in held-out places is added: without it a
    threshold would be chosen at which a net is quiet in pipes because it sees nothing there.

    Raises:
        ScnetEdgeError: a set cannot be read.
    """
    training = [each for each in corpus.sets if each.share]
    held: Held = {
        domain: [sample for each in sets for sample in _trainable(each)[::HELD_OUT]]
        for domain, sets in by_domain(training).items()
    }
    if corpus.blended:
        lent, taking = (
            load_images([s for each in sets for s in _trainable(each)[::HELD_OUT]], None)
            for sets in (
                [each for each in training if each.lends],
                [each for each in training if each.takes],
            )
        )
        blends = blended_images(lent, taking, count=BLENDED_HELD)
        held["blended"] = [
            MadeSample(Path(f"{i}"), Path(f"{i}"), "crack", image.frame, image.mask)
            for i, image in enumerate(blends)
        ]
    return held


def _trainable(each: CorpusSet) -> list[Sample]:
    return [sample for sample in each.samples("train") if not is_twin(sample)]


def plain_images(*, count: int = PLAIN) -> list[TrainingImage]:
    """Return drawn frames without any feature, or with on-screen text and borders alone."""
    rng = np.random.default_rng(SEED)
    frames = [plain_frame((384, 544), rng) for _ in range(count)]
    return [TrainingImage(f, np.zeros(f.shape[:2], np.bool_), None) for f in frames]


def blended_images(
    lent: list[TrainingImage],
    taking: list[TrainingImage],
    *,
    count: int = BLENDED,
) -> list[TrainingImage]:
    """Return images of `taking` with a crack of `lent` blended in, one or two each.

    Raises:
        InputError: no crack fits anywhere.
    """
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(len(lent))[:CRACK_PICTURES]
    cracks = [(shading(lent[i].frame, lent[i].mask), lent[i].mask) for i in chosen]
    blends: list[TrainingImage] = []
    for place in range(count):
        onto = taking[place % len(taking)]
        frame, mask = onto.frame, onto.mask
        for _ in range(int(rng.integers(1, 3))):
            found = blend(frame, *cracks[int(rng.integers(len(cracks)))], rng)
            if found is not None:
                frame, mask = found[0], mask | found[1]
        if mask.any():
            blends.append(dataclasses.replace(onto, frame=frame, mask=mask))
    if not blends:
        raise InputError("no crack of the sets that lend fits into an image of those that take")
    return blends
