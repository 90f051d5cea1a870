"""What a model looks at: its maps at every scale, its attention, and Grad-CAM (Fig. 7 to 9)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scnet_edge.data.frames import EDGE_THRESHOLD
from scnet_edge.files import write_image
from scnet_edge.models.baselines import CrackNet
from scnet_edge.models.chain import Chain
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet
from scnet_edge.models.sizes import fit_size
from scnet_edge.types import Frame, Map

COLUMNS = 3
TITLE_PX = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Named maps of the frame's size, (h, w) float32 in [0, 1] each.

    Attributes:
        fused: The probability.
        scales: The side maps, finest first: `scale-1` is of full resolution.
        attention: Where the attention of each encoder and decoder block opens (Eq. 1).
        cam: Grad-CAM of each block for the crack pixels of the fused map.
    """

    fused: Map
    scales: dict[str, Map]
    attention: dict[str, Map]
    cam: dict[str, Map]

    def maps(self) -> dict[str, Map]:
        """Return all of them by name."""
        return {"fused": self.fused} | self.scales | self.attention | self.cam


@dataclass(slots=True)
class _Watched:
    sides: list[Tensor] = field(default_factory=list)
    fused: Tensor | None = None
    gates: dict[str, Tensor] = field(default_factory=dict)
    features: dict[str, Tensor] = field(default_factory=dict)


def explain_frame(
    scnet: CrackNet, hed: HED | None, frame: Frame, *, threshold: float
) -> Explanation:
    """Return what a model makes of a frame inside.

    Args:
        scnet: In eval mode.
        hed: Given exactly when the model takes the prior.
        frame: (h, w, 3) uint8 BGR, resized inside to what the stride allows.
        threshold: Crack where the fused probability is at least this; Grad-CAM explains these
            pixels, or the most probable one where there is none.
    """
    h, w = frame.shape[:2]
    size_hw = fit_size((h, w), scnet.config.stride)
    chain = Chain(scnet, hed, frame_hw=(h, w), size_hw=size_hw, edge_threshold=EDGE_THRESHOLD)
    image = chain.image(torch.from_numpy(frame[None]))
    with torch.no_grad():
        prior = None if hed is None else chain.prior(image)[0]
    with _watch(scnet) as seen:
        chain.probability(image, prior)
    assert seen.fused is not None

    def show(x: Tensor) -> Map:
        resized = F.interpolate(x, size=(h, w), mode="bilinear", align_corners=False)
        return np.asarray(resized[0, 0].detach().numpy(), np.float32)

    cams = grad_cam(seen.fused, seen.features, threshold)
    return Explanation(
        fused=show(torch.sigmoid(seen.fused)),
        scales={f"scale-{i + 1}": show(torch.sigmoid(x)) for i, x in enumerate(seen.sides)},
        attention={name: show(torch.sigmoid(gate)) for name, gate in seen.gates.items()},
        cam={f"cam-{name}": show(cam) for name, cam in cams.items()},
    )


def grad_cam(fused: Tensor, features: dict[str, Tensor], threshold: float) -> dict[str, Tensor]:
    """Return Grad-CAM (Selvaraju et al. 2017) of each feature map, (1, 1, h, w) in [0, 1].

    The score is the mean of the fused logits on the crack pixels; a channel weighs the mean of its
    gradient, and only what speaks for crack is kept.
    """
    crack = torch.sigmoid(fused) >= threshold
    score = fused[crack].mean() if crack.any() else fused.max()
    gradients = torch.autograd.grad(score, list(features.values()))
    cams = {}
    for (name, feature), gradient in zip(features.items(), gradients, strict=True):
        cam = F.relu((gradient.mean((2, 3), keepdim=True) * feature).sum(1, keepdim=True))
        cams[name] = cam / cam.max().clamp(min=1e-12)
    return cams


@contextmanager
def _watch(scnet: CrackNet) -> Iterator[_Watched]:
    """Keep what passes through a model while it runs."""
    seen, hooks = _Watched(), []

    def keep_output(_: nn.Module, __: object, out: tuple[Tensor, list[Tensor]]) -> None:
        seen.fused, seen.sides = out

    hooks.append(scnet.register_forward_hook(keep_output))
    for name, block in _blocks(scnet).items():

        def keep_features(_: nn.Module, __: object, out: Tensor, name: str = name) -> None:
            seen.features[name] = out.requires_grad_()

        hooks.append(block.register_forward_hook(keep_features))
    for name, gate in _gates(scnet).items():

        def keep_gate(_: nn.Module, __: object, out: Tensor, name: str = name) -> None:
            seen.gates[name] = out

        hooks.append(gate.register_forward_hook(keep_gate))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _blocks(scnet: CrackNet) -> dict[str, nn.Module]:
    """Return the blocks of a model by name, `encoder-1` the finest."""
    lists = {"encoder": "encoder", "decoder": "decoder", "block": "blocks"}
    return {
        f"{label}-{i + 1}": block
        for label, attribute in lists.items()
        for i, block in enumerate(getattr(scnet, attribute, ()))
    }


def _gates(scnet: CrackNet) -> dict[str, nn.Module]:
    """Return the convolutions whose sigmoid is the attention, where the model has any."""
    if not isinstance(scnet, SCNet) or scnet.config.attention != "scale":
        return {}
    lists = {"encoder": scnet.encoder_attention, "decoder": scnet.decoder_attention}
    return {
        f"attention-{label}-{i + 1}": attention.get_submodule("attend")
        for label, attentions in lists.items()
        for i, attention in enumerate(attentions)
    }


def write_explanation(out: Path, frame: Frame, explained: Explanation) -> list[Path]:
    """Write each map as NAME.png, heat over the frame for attention and Grad-CAM, and sheets.

    Returns the files, the three sheets of Fig. 7, 8 and 9 first.
    """
    out.mkdir(parents=True, exist_ok=True)
    drawn = {"frame": frame} | {
        name: heat(frame, values) if name.startswith(("attention", "cam")) else grey(values)
        for name, values in explained.maps().items()
    }
    sheets = {
        "scales": ["frame", "fused", *explained.scales],
        "attention": ["frame", *explained.attention],
        "grad-cam": ["frame", "fused", *explained.cam],
    }
    images = {
        f"sheet-{sheet}": contact_sheet({name: drawn[name] for name in names})
        for sheet, names in sheets.items()
        if len(names) > 1
    } | drawn
    paths = [out / f"{name}.png" for name in images]
    for path, image in zip(paths, images.values(), strict=True):
        write_image(path, image)
    return paths


def heat(frame: Frame, values: Map) -> Frame:
    """Return the frame under a colour map of values in [0, 1]: blue is none, red is all."""
    colours = cv2.applyColorMap((values * 255).round().astype(np.uint8), cv2.COLORMAP_JET)
    return np.asarray(cv2.addWeighted(frame, 0.45, colours, 0.55, 0), np.uint8)


def grey(values: Map) -> Frame:
    """Return values in [0, 1] as a grey picture."""
    return np.repeat((values * 255).round().astype(np.uint8)[..., None], 3, 2)


def contact_sheet(images: dict[str, npt.NDArray[np.uint8]]) -> Frame:
    """Return pictures of one size in rows, each under its name."""
    titled = [_add_title(name, image) for name, image in images.items()]
    blank = np.full_like(titled[0], 255)
    titled += [blank] * (-len(titled) % COLUMNS)
    rows = [np.hstack(titled[i : i + COLUMNS]) for i in range(0, len(titled), COLUMNS)]
    return np.asarray(np.vstack(rows), np.uint8)


def _add_title(name: str, image: npt.NDArray[np.uint8]) -> Frame:
    bar = np.full((TITLE_PX, image.shape[1], 3), 255, np.uint8)
    cv2.putText(bar, name, (6, TITLE_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1)
    return np.vstack([bar, image])
