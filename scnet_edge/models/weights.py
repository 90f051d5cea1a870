"""Weight files: FP16 safetensors on disk, FP32 in the model, checked before they are parsed."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import msgspec
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from scnet_edge.errors import ModelError
from scnet_edge.files import write_file
from scnet_edge.models.baselines import COMPARED, CrackNet
from scnet_edge.models.cards import Card, find_card
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig

State = dict[str, Tensor]
MAX_BYTES = 2**30
MAX_HEADER_BYTES = 2**20  # names and shapes of some thousand tensors


def load_state(path: Path, *, sha256: str | None = None) -> State:
    """Return the tensors of a safetensors file by name, floating ones as FP32.

    Args:
        path: A `.safetensors` file.
        sha256: The hash the file must have, checked before it is parsed.

    Raises:
        ModelError: no such file, another format, too large, truncated, or another hash.
    """
    if path.suffix != ".safetensors":
        raise ModelError(
            f"{path}: expected a .safetensors file; pickled weights can run code when they load, "
            "so convert them with scnet_edge.models.weights.save_weights where you trust them"
        )
    if not path.is_file():
        raise ModelError(f"{path}: no such weight file; fetch or copy it beside its card")
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{path}: larger than {MAX_BYTES >> 20} MiB, so it is no model of ours")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise ModelError(
            f"{path}: SHA-256 is {found[:12]}..., its card says {sha256[:12]}...; "
            "the file is truncated or another, copy it again"
        )
    if int.from_bytes(data[:8], "little") > MAX_HEADER_BYTES:
        raise ModelError(f"{path}: not whole safetensors (header too large); copy it again")
    try:
        state = safetensors.torch.load(data)
    except SafetensorError as e:
        raise ModelError(f"{path}: not whole safetensors ({e}); copy it again") from e
    return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}


def save_weights(model: nn.Module, path: Path) -> None:
    """Write a model's weights as FP16 safetensors; integers stay as they are.

    Raises:
        ModelError: a value is not finite in FP16, or the name is not `.safetensors`.
    """
    if path.suffix != ".safetensors":
        raise ModelError(f"{path}: expected a name that ends in .safetensors")
    state = {key: _halve(key, value) for key, value in model.state_dict().items()}
    write_file(path, safetensors.torch.save(state))


def _halve(key: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value.contiguous()
    half = value.half().contiguous()  # channels_last tensors are not contiguous
    if not half.isfinite().all():
        raise ModelError(f"weight {key!r} is not finite in FP16; train with a lower learning rate")
    return half


def load_into(model: nn.Module, state: State, source: str) -> None:
    """Fill a model with exactly the tensors of `state`; `source` names them in errors.

    Raises:
        ModelError: a tensor is missing, foreign or of another shape.
    """
    own = model.state_dict()
    for key in own:
        if key not in state:
            raise ModelError(f"{source}: weight {key!r} is missing; it is of another model")
    for key, value in state.items():
        if key not in own:
            raise ModelError(f"{source}: weight {key!r} is not in this model; it is of another")
        if value.shape != own[key].shape:
            expected, found = tuple(own[key].shape), tuple(value.shape)
            raise ModelError(f"{source}: weight {key!r} has shape {found}, expected {expected}")
    model.load_state_dict(state)


def open_scnet(card: Card) -> CrackNet:
    """Return the crack model of a card, SCNet or one it is compared with, FP32, in eval mode.

    Raises:
        ModelError: the card is of HED, or its file is missing, altered or foreign.
    """
    model = _new_model(card)
    if isinstance(model, HED):
        raise ModelError(f"model {card.name!r} is {card.kind}, expected an SCNet")
    load_into(model, load_state(card.path, sha256=card.sha256), str(card.path))
    return model.eval()


def open_hed(name: str = "hed") -> HED:
    """Return an HED with its weights, FP32, in eval mode; the published one unless named.

    Raises:
        ModelError: there is none of this name, or its file is missing, altered or foreign.
    """
    card = find_card(name)
    model = _new_model(card)
    if not isinstance(model, HED):
        raise ModelError(f"model {card.name!r} is {card.kind}, expected an HED")
    load_into(model, load_state(card.path, sha256=card.sha256), str(card.path))
    return model.eval()


def open_prior(card: Card) -> HED | None:
    """Return the HED whose edge map a crack model sees; None where it sees none.

    Raises:
        ModelError: `card` is of an HED, or as `open_hed`.
    """
    return open_hed(card.prior) if card.takes_prior and card.prior else None


def measure_card(card: Card, weights: Path) -> Card:
    """Return the card with hash, parameters and GMAC taken from the weight file and the model."""
    model = _new_model(card)
    load_into(model, load_state(weights), str(weights))
    return msgspec.structs.replace(
        card,
        sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
        parameters=count_parameters(model),
        gmac=round(count_macs(model, card.size_hw) / 1e9, 3),
    )


def count_parameters(model: nn.Module) -> int:
    """Return the number of trained values."""
    return sum(p.numel() for p in model.parameters())


def count_macs(model: nn.Module, size_hw: tuple[int, int]) -> int:
    """Return the multiply-accumulates of all convolutions on one image of `size_hw`."""
    macs = 0

    def add(conv: nn.Module, _: Any, out: Tensor) -> None:
        nonlocal macs
        assert isinstance(conv, nn.Conv2d)
        macs += out.numel() * conv.weight[0].numel()

    shadow = copy.deepcopy(model).to("meta").eval()  # shapes without arithmetic
    convolutions = [m for m in shadow.modules() if isinstance(m, nn.Conv2d)]
    for conv in convolutions:
        conv.register_forward_hook(add)
    shadow(torch.empty(1, convolutions[0].in_channels, *size_hw, device="meta"))
    return macs


def _new_model(card: Card) -> CrackNet | HED:
    if card.config is not None:
        return SCNet(SCNetConfig(**msgspec.structs.asdict(card.config)))
    if card.hed_width is not None:
        return HED(width=card.hed_width)
    return COMPARED[card.kind]()
