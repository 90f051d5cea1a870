"""Probability maps of annotated images, from an engine or from the PyTorch reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from scnet_edge.data.frames import EDGE_THRESHOLD, resize
from scnet_edge.data.samples import Sample
from scnet_edge.engines.base import Backend
from scnet_edge.errors import EngineError
from scnet_edge.models.sizes import fit_size
from scnet_edge.types import Frame, Map

if TYPE_CHECKING:
    from torch import nn

    from scnet_edge.models.baselines import CrackNet, DeepCrackLiu

# (h, w, 3) uint8 BGR -> crack probability (h, w) float32 in [0, 1]
Run: TypeAlias = Callable[[Frame], Map]
# A refined map is a smoothed mask, so half and more is crack. The authors' is best at 0.48.
REFINED_THRESHOLD = 0.5


def predictions(run: Run, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Map]]:
    """Yield each sample with its (h, w) float32 probability.

    Raises:
        InputError: an image cannot be read.
        EngineError: a probability is not a number.
    """
    for sample in samples:
        probability = run(sample.read_frame())
        if not np.isfinite(probability).all():
            raise EngineError(
                f"{sample.name}: the probability is not finite; use a bundle of higher precision"
            )
        yield sample, probability


def backend_run(backend: Backend, frame_hw: tuple[int, int]) -> Run:
    """Return a fused graph of static `frame_hw` as a function of frames of any size."""

    def run(frame: Frame) -> Map:
        fed = resize(frame, frame_hw)
        probability = backend.run({"frame": fed[None]})["probability"][0]
        return resize(probability, _size_hw(frame))

    return run


def reference_run(scnet: CrackNet, hed: nn.Module | None, *, device: str = "cpu") -> Run:
    """Return the PyTorch FP32 chain on a device as a function of frames of any size.

    A frame whose sides the model's stride does not divide is resized up to the next that it does.
    """
    # Here alone, so that a machine without torch evaluates its bundles.
    from scnet_edge.engines.torch_eager import TorchBackend
    from scnet_edge.models.chain import Chain

    def run(frame: Frame) -> Map:
        frame_hw = _size_hw(frame)
        size_hw = fit_size(frame_hw, scnet.config.stride)
        chain = Chain(scnet, hed, frame_hw=frame_hw, size_hw=size_hw, edge_threshold=EDGE_THRESHOLD)
        return backend_run(TorchBackend(chain, device=device), frame_hw)(frame)

    return run


def refined_run(model: DeepCrackLiu, threshold: float) -> Run:
    """Return DeepCrack of Liu with its guided-filter refinement as a function of frames.

    `threshold` is the model's own, at which its map becomes the mask that is refined; what comes
    out is crack from `REFINED_THRESHOLD` on.
    """
    import torch

    from scnet_edge.models.baselines import guided_refinement
    from scnet_edge.models.chain import Chain

    def run(frame: Frame) -> Map:
        frame_hw = _size_hw(frame)
        size_hw = fit_size(frame_hw, model.config.stride)
        chain = Chain(model, None, frame_hw=frame_hw, size_hw=size_hw)
        with torch.inference_mode():
            x = chain.image(torch.from_numpy(frame[None])).flip(1) / 127.5 - 1
            fused, sides = model(x)
            probability = guided_refinement(fused, sides[0], threshold=threshold)[0, 0].numpy()
        return resize(np.asarray(probability, np.float32), frame_hw)

    return run


def _size_hw(frame: Frame) -> tuple[int, int]:
    return frame.shape[0], frame.shape[1]
