"""How weights begin: Xavier, the HED convolutions, or those of another model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scnet_edge.errors import ConfigError
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet

PIXEL_SPREAD = 64.0  # of a frame in [0, 255] around its mean, roughly; first weights are that small


def draw_xavier(model: nn.Module, gain: float = 1.0) -> None:
    """Draw every convolution's weight from Xavier's normal distribution; biases are 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_normal_(module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def new_hed(width: float) -> HED:
    """Return an untrained HED of a width: He's weights, the sides fused by their mean."""
    hed = HED(width=width)
    for block in hed.blocks:
        for conv in (module for module in block.modules() if isinstance(module, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.get_parameter("bias"))
            if conv.in_channels == 3:
                conv.weight.data /= PIXEL_SPREAD
    nn.init.constant_(hed.fuse.weight, 1.0 / len(hed.sides))
    nn.init.zeros_(hed.fuse.get_parameter("bias"))
    return hed


def start_heads(model: SCNet, bias: float) -> None:
    """Set the side and fusion biases so that training starts from a low crack probability."""
    with torch.no_grad():
        for head in model.sides:
            nn.init.constant_(head.get_parameter("bias"), bias)
        nn.init.constant_(model.fuse.weight, 1.0 / model.config.levels)
        nn.init.zeros_(model.fuse.get_parameter("bias"))


def encoder_from_hed(model: SCNet, hed: HED) -> None:
    """Copy the 13 convolutions of HED, which are VGG's, into an encoder.

    One of another width gets them as `fit_state` gives it another model's: narrower, the first
    channels; wider, copies.
    """
    chance = torch.Generator().manual_seed(0)
    first = next(m for m in hed.modules() if isinstance(m, nn.Conv2d))
    for block, theirs in zip(model.encoder, hed.blocks, strict=False):
        convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
        originals = [m for m in theirs.modules() if isinstance(m, nn.Conv2d)]
        for conv, original in zip(convolutions, originals, strict=True):
            weight = original.weight.detach()
            if original is first:
                weight = weight.flip(1) * 60  # BGR in [0, 255] there, RGB in [-1, 1] here
            conv.weight.data.copy_(_fit(weight, conv.weight, chance))


def hold_coarse(model: nn.Module, learning: int) -> None:
    """Let only the finest `learning` levels and the fusion learn; the weights of others stay.

    Batch norms of the others go on following the images: weights alone are held.

    Raises:
        ConfigError: the model is no SCNet, or has no other level.
    """
    if not isinstance(model, SCNet):
        raise ConfigError(
            f"--fine-levels: expected an SCNet, found {type(model).__name__}; leave it out"
        )
    if learning >= model.config.levels:
        raise ConfigError(
            f"--fine-levels {learning}: expected fewer than the model's {model.config.levels} "
            "levels; with all of them, leave it out"
        )
    levelled = (model.encoder, model.encoder_attention, model.decoder, model.decoder_attention)
    for blocks in (*levelled, model.sides):
        blocks[learning:].requires_grad_(False)


def fit_state(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of another SCNet for a model whose weights are `own`.

    A smaller model takes the first channels and the finest levels. A wider one computes what the
    narrower computed (Net2Net, Chen 2016): its channels are copies, and what reads them divides its
    weights among the copies, unevenly, so that each learns something else. One of a whole fraction
    of the width takes that back: it averages the copies and adds up what reads them. A stem of half
    resolution takes each pixel's weight for the four pixels of its cell. An edge map that the other
    did not see weighs nothing at first. What the other model lacks stays as it is, the fusion
    weights of coarser levels included.
    """
    chance = torch.Generator().manual_seed(0)
    found = {
        key: _fit(_gather(key, state[key], value), value, chance) if key in state else value
        for key, value in own.items()
    }
    if "fuse.weight" in state:
        found["fuse.weight"] = _fit_fuse(state["fuse.weight"], own["fuse.weight"])
    return found


def _fit_fuse(theirs: Tensor, own: Tensor) -> Tensor:
    """Return the weights of the side maps, finest first: theirs of the levels that both have."""
    common = min(theirs.shape[1], own.shape[1])
    return torch.cat([theirs[:, :common], own[:, common:]], 1)


def _gather(key: str, theirs: Tensor, own: Tensor) -> Tensor:
    """Return weights with each group of copied channels made one, where a block has such groups."""
    if not key.startswith(("encoder", "decoder")):  # sides and fusion read maps, not features
        return theirs
    for axis, (have, want) in enumerate(zip(theirs.shape[:2], own.shape[:2], strict=True)):
        if have > want and have % want == 0:
            shape = theirs.shape
            groups = theirs.reshape(*shape[:axis], want, have // want, *shape[axis + 1 :])
            theirs = groups.sum(axis + 1) if axis == 1 else groups.mean(axis + 1)
    return theirs


def _fit(theirs: Tensor, own: Tensor, chance: torch.Generator) -> Tensor:
    if theirs.shape == own.shape:
        return theirs
    if theirs.dim() == 4:
        if own.shape[-1] == 2 * theirs.shape[-1] > 2:
            theirs = theirs.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
        if (theirs.shape[1], own.shape[1]) == (3, 4):
            theirs = F.pad(theirs, (0, 0, 0, 0, 0, 1))
    for axis, (have, want) in enumerate(zip(theirs.shape[:2], own.shape[:2], strict=True)):
        if have < want:
            copied = torch.arange(want) * have // want
            theirs = theirs.index_select(axis, copied)
            if axis == 1:
                theirs = theirs * _shares(copied, len(theirs), chance)
    return theirs[tuple(map(slice, own.shape))].clone()


def _shares(copied: Tensor, outputs: int, chance: torch.Generator) -> Tensor:
    """Return (outputs, copies, 1, 1) numbers; those of the copies of one channel sum to 1."""
    drawn = torch.rand(outputs, len(copied), generator=chance) + 0.5
    sums = torch.zeros_like(drawn).index_add_(1, copied, drawn)
    return (drawn / sums[:, copied])[..., None, None]
