"""A run that keeps some of the weights it starts from, and what that model calls a crack."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch
from toys import SCHEDULE, Interrupted, new_model, stop_after_four, toy_images

import scnet_edge.cli.train  # noqa: F401  (registers the command)
from scnet_edge.cli import main
from scnet_edge.errors import ConfigError
from scnet_edge.models.cards import find_card, run_card, write_card
from scnet_edge.training import presets
from scnet_edge.training.loop import Material, train
from scnet_edge.training.presets import Preset
from scnet_edge.training.run import request

KEPT = dataclasses.replace(SCHEDULE, keep_start=0.25)


def test_weights_are_the_mean_of_the_first_and_the_last(tmp_path: Path) -> None:
    material = Material(images=toy_images())
    last = train(new_model(), material, SCHEDULE, tmp_path / "last")
    mixed = train(new_model(), material, KEPT, tmp_path / "mixed")
    first = new_model()
    for mine, theirs, begun in zip(
        mixed.parameters(), last.parameters(), first.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, 0.75 * theirs + 0.25 * begun)


def test_a_resumed_run_keeps_as_much(tmp_path: Path) -> None:
    material = Material(images=toy_images())
    whole = train(new_model(), material, KEPT, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(new_model(), material, KEPT, tmp_path / "cut", progress=stop_after_four)
    resumed = train(new_model(), material, KEPT, tmp_path / "cut")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_what_is_called_a_crack_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Preset(about="a toy", config=new_model().config, schedule=SCHEDULE)
    monkeypatch.setitem(presets.PRESETS, "toy", toy)
    for i, image in enumerate(toy_images() * 4):
        for kind, pixels in (("images", image.frame), ("masks", image.mask * np.uint8(255))):
            (tmp_path / "walls" / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "walls" / kind / f"{i}.png"), pixels)

    def run(out: Path, *more: str) -> None:
        data = f"folder:{tmp_path / 'walls'}"
        monkeypatch.setattr(
            sys, "argv", ["scnet-edge", "train", "toy", "--data", data, "--out", str(out), *more]
        )
        with pytest.raises(SystemExit) as left:
            main()
        assert not left.value.code

    first, second = tmp_path / "first", tmp_path / "second"
    run(first)
    card = find_card(str(first))
    write_card(run_card(first), msgspec.structs.replace(card, threshold=0.37, seed=0.71))
    run(second, "--start", str(first), "--keep-start", "0.5")
    kept = find_card(str(second))
    assert (kept.threshold, kept.seed) == (0.37, 0.71)
    assert kept.recipe.count("first") == 2  # begun from it, taught by it


def test_there_must_be_something_to_keep() -> None:
    with pytest.raises(ConfigError, match="keeps some of the weights of --start"):
        request("small-review", ["folder:x"])
    with pytest.raises(ConfigError, match="from 0 to below 1"):
        dataclasses.replace(SCHEDULE, keep_start=1.0)
