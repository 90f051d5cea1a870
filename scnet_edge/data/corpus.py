"""A corpus: many data sets as one, each with its share of the crops, in one flat TOML file.

    licence = "research only"      # of weights that are trained on all of it
    drawn = 0.1                    # share of crops from drawn pipe walls
    pipe_views = 0.2               # from pipes whose walls are images of sets that lend or take
    wall_views = 0.1               # from walls with joints, made of them, too
    views = 400                    # how many are drawn of each
    plain = 0.05                   # from drawn frames without any feature
    scale = [0.6, 3.0]             # of crops; without, that of the preset
    blended = 0.1                  # cracks of sets with `lends` in those with `takes`, and drawn

    [[set]]
    name = "sewer"
    data = "negative:$SCNET_EDGE_DATA/field/sewer"
    share = 0.2
    domain = "sewer"
    licence = "research only"
    test = ["run-7*", "run-8*"]    # names of its test split; without, that of the layout

Shares are relative to their sum. Roles are those of the layouts (`data.datasets`): masks, coarse
masks, no crack at all, or a crack somewhere; the latter only score. A share of 0 only scores, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import msgspec

from scnet_edge.config import read_toml
from scnet_edge.data.datasets import Split, open_dataset
from scnet_edge.data.samples import Sample
from scnet_edge.errors import ConfigError

Share = Annotated[float, msgspec.Meta(ge=0)]
Scale = Annotated[float, msgspec.Meta(ge=0.1, le=10)]
Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]+$")]


class CorpusSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One data set of a corpus.

    Attributes:
        data: `NAME:DIR` as `open_dataset` takes it; `$VARIABLE` in it is expanded.
        share: Of the crops, relative to the other shares.
        domain: What it is scored under, such as `sewer`; its name if left out.
        licence: As its source states it.
        taught: Ask the teachers about it, where a run has some.
        lends: Its cracks are blended into images of the sets with `takes`.
        takes: Its images take cracks of others.
        skip: Patterns of image names that are left out.
        test: Patterns of image names that are the test split; without, that of the layout.
    """

    name: Name
    data: str
    share: Share
    licence: str
    domain: str = ""
    taught: bool = False
    lends: bool = False
    takes: bool = False
    skip: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def samples(self, split: Split) -> list[Sample]:
        """Return the samples of a split.

        Raises:
            InputError: the data set is missing or broken.
            ConfigError: a variable is not set, or a pattern fits no image.
        """
        spec = os.path.expandvars(self.data)
        if "$" in spec:
            raise ConfigError(f"set {self.name!r}: {spec}: the variable is not set; export it")
        everything = open_dataset(spec, "all" if self.test else split)
        kept = [s for s in everything if not _fits(s, self.skip)]
        if self.test and split != "all":
            kept = [s for s in kept if _fits(s, self.test) == (split == "test")]
        if not kept:
            raise ConfigError(
                f"set {self.name!r}: no image is left for split {split!r}; change skip or test"
            )
        return kept


class Corpus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Data sets with their shares, and what is drawn besides.

    Attributes:
        licence: Of weights that are trained on all of it, as far as the data go.
        scale: How much crops are shrunk or enlarged, instead of the preset's: to see wide cracks
            where the sets have fine ones.
        views: How many views of pipes and how many of walls are drawn, 0.8 MB each.
    """

    licence: str
    scale: tuple[Scale, Scale] | None = None
    drawn: Share = 0.0
    pipe_views: Share = 0.0
    wall_views: Share = 0.0
    views: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 400
    plain: Share = 0.0
    blended: Share = 0.0
    sets: Annotated[tuple[CorpusSet, ...], msgspec.Meta(min_length=1)] = msgspec.field(name="set")

    def __post_init__(self) -> None:
        names = [each.name for each in self.sets]
        if len(set(names)) < len(names):
            raise ValueError("two sets have one name")
        if not any(each.share for each in self.sets):
            raise ValueError("no set has a share above 0")
        lends, takes = (any(getattr(s, word) for s in self.sets) for word in ("lends", "takes"))
        if self.scale and self.scale[0] > self.scale[1]:
            raise ValueError("scale goes from the smaller to the larger")
        for name in ("pipe_views", "wall_views", "blended"):
            if getattr(self, name) and not (lends and takes):
                raise ValueError(f"{name} needs a set that lends and one that takes")


def read_corpus(path: Path) -> Corpus:
    """Return the corpus of a TOML file.

    Raises:
        ConfigError: no such file, an unknown key, a wrong value, or nothing to train on.
    """
    return read_toml(path, Corpus)


def by_domain(sets: Sequence[CorpusSet]) -> dict[str, list[CorpusSet]]:
    """Return the sets of each domain, in the order of the file."""
    domains: dict[str, list[CorpusSet]] = {}
    for each in sets:
        domains.setdefault(each.domain or each.name, []).append(each)
    return domains


def _fits(sample: Sample, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(sample.name, pattern) for pattern in patterns)
