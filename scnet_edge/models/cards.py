"""Model cards: what each shipped weight file is, where it came from and what it scores.

A card `NAME.json` lies beside its `NAME.safetensors` in one of two folders: `scnet_edge/weights/`,
packaged with the library, or `weights/` at the root of a source checkout, for the others.
Cards are read without torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from scnet_edge.config import PointName, read_json, write_json
from scnet_edge.errors import ModelError
from scnet_edge.models.decision import Decision, Share

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parent

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Side = Annotated[int, msgspec.Meta(gt=0)]


class CardConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `SCNetConfig` of a model, field for field, readable without torch."""

    levels: int
    width: float
    norm: Literal["instance", "batch", "none"]
    attention: Literal["scale", "scalar", "none"]
    refined_channels: int
    edges: bool
    pooling: Literal["max", "dilated"]
    feed: Literal["attended", "raw"]
    stem: Literal["full", "half"] = "full"
    decoder: Literal["unpool", "skip"] = "unpool"


class CardMetrics(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pixel scores at zero tolerance, over all pixels of all images."""

    data: str  # data set and split
    images: int
    f1: Share
    ci95: tuple[Share, Share]  # of F1, by resampling images
    precision: Share
    recall: Share
    threshold: Share


# `own`: what `calibrate --negatives` found on a user's walls.


class PointFigure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one domain gives at an operating point, on its test split.

    Attributes:
        recall: Share of the crack pixels that is found; None in a domain without cracks.
        found: Share of the cracks that is found, by half of their length; None likewise.
        alarmed: Share of the frames without a crack that are alarmed; None where all have one.
        per_frame: Alarms a frame of these.
    """

    recall: Share | None = None
    found: Share | None = None
    alarmed: Share | None = None
    per_frame: float | None = None


class OperatingPoint(Decision, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision with what it was measured to find, and to call a crack that is none."""

    name: PointName
    domains: dict[str, PointFigure]


class Card(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One shipped model.

    Attributes:
        file: Name of the weight file beside the card, `NAME.safetensors`.
        parameters: Trained numbers.
        gmac: Billions of multiply-accumulates of the convolutions, at `size_hw`.
        config: What shapes an SCNet; None for other models.
        prior: Name of the HED whose edge map it sees; None for a model that sees none.
        hed_width: What multiplies the channels of an HED; None for other models.
        threshold, seed: What is called a crack, see `Decision`; HED: prior where the probability
            is above the threshold.
        data: What it was trained on.
        steps: Optimiser updates.
        operating_points: Thresholds to choose from, the shipped one among them.
        created: ISO 8601 date.
        folder: Where it was read from; it is not written.
    """

    name: str
    kind: Literal["scnet", "hed", "deepcrack-liu", "deepcrack-zou", "patchnet"]
    file: str
    sha256: Sha256
    parameters: int
    gmac: float
    size_hw: tuple[Side, Side]
    config: CardConfig | None
    prior: str | None = None
    hed_width: float | None = None
    threshold: Share
    seed: Share = 0.0
    data: str
    data_licence: str
    licence: str
    recipe: str
    steps: int
    metrics: CardMetrics | None
    created: str
    operating_points: tuple[OperatingPoint, ...] = ()
    folder: str | None = None

    def __post_init__(self) -> None:
        if self.file != f"{self.name}.safetensors":
            raise ValueError(f"file must be {self.name}.safetensors, found {self.file!r}")
        if (self.kind == "scnet") != (self.config is not None):
            raise ValueError(f"kind {self.kind!r} and config do not agree: config is SCNet's alone")
        if (self.kind == "hed") != (self.hed_width is not None):
            raise ValueError(f"kind {self.kind!r} and hed_width do not agree: it is HED's alone")
        sees = self.config is not None and self.config.edges
        if sees != (self.prior is not None):
            raise ValueError(f"edges {sees} and prior {self.prior!r} do not agree: name the HED")

    @property
    def path(self) -> Path:
        """The weight file, beside the card.

        Raises:
            ModelError: the card was not read from a file.
        """
        if self.folder is None:
            raise ModelError(f"model {self.name!r}: read its card from a file first")
        return Path(self.folder) / self.file

    @property
    def decision(self) -> Decision:
        """What it calls a crack."""
        return Decision(threshold=self.threshold, seed=self.seed)

    @property
    def takes_prior(self) -> bool:
        """Whether the model is a crack model that sees an edge map.

        Raises:
            ModelError: this is no crack model.
        """
        if self.kind == "hed":
            raise ModelError(
                f"model {self.name!r} detects edges, not cracks; choose an SCNet of "
                "'scnet-edge models'"
            )
        return self.prior is not None

    def gmac_at(self, size_hw: tuple[int, int]) -> float:
        """Return the billions of multiply-accumulates at another size."""
        return self.gmac * math.prod(size_hw) / math.prod(self.size_hw)


def folders() -> list[Path]:
    """Return where cards lie: in the package and, for a source checkout, at its root."""
    return [PACKAGE / "weights", *([CHECKOUT / "weights"] if _in_checkout() else [])]


def _in_checkout() -> bool:
    return (CHECKOUT / "pyproject.toml").is_file()


def read_card(path: Path) -> Card:
    """Return the card of a JSON file.

    Raises:
        ModelError: no such file, an unknown or missing field, or a value of the wrong type.
    """
    card = read_json(path, Card, error=ModelError)
    if path.stem != card.name:
        raise ModelError(f"{path}: the card names {card.name!r}, expected {path.stem!r}")
    return msgspec.structs.replace(card, folder=str(path.parent))


def write_card(path: Path, card: Card) -> None:
    """Write a card beside its weights."""
    write_json(path, msgspec.structs.replace(card, folder=None))


def shipped_models() -> list[Card]:
    """Return all cards, the packaged ones first, each folder by name."""
    return [read_card(path) for folder in folders() for path in sorted(folder.glob("*.json"))]


def find_card(name: str) -> Card:
    """Return the card of a shipped model by its name, or of a training run by its folder.

    Raises:
        ModelError: there is none of this name, or its card is wrong.
    """
    cards = {card.name: card for card in shipped_models()}
    if name in cards:
        return cards[name]
    if is_run(Path(name)):
        return read_card(run_card(Path(name)))
    more = "" if _in_checkout() else "; other models need a clone: pip install --editable . there"
    raise ModelError(
        f"model {name!r}: expected one of {_list(cards)} or the folder of a training run; "
        f"'scnet-edge models' describes them{more}"
    )


def find_chain(card: Card) -> list[Card]:
    """Return the cards of a crack model and, where it sees an edge map, of the HED that makes it.

    Raises:
        ModelError: this is no crack model, or there is no such HED.
    """
    if not card.takes_prior:
        return [card]
    assert card.prior is not None
    return [card, find_card(card.prior)]


def weights_of(card: Card) -> dict[str, str]:
    """Return the hashes of all weights in a model's chain, by model name.

    Raises:
        ModelError: as `find_chain`.
    """
    return {each.name: each.sha256 for each in find_chain(card)}


def run_card(folder: Path) -> Path:
    """Return where a training run keeps its card: it carries the name of the folder."""
    return folder / f"{folder.resolve().name}.json"


def is_run(folder: Path) -> bool:
    """Return whether a folder is a training run with a model to use."""
    return run_card(folder).is_file()


def _list(things: Iterable[object]) -> str:
    return ", ".join(map(str, things)) or "(none found)"
