"""Training learns a toy, and a resumed run equals an uninterrupted one to the bit."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toys import CONFIG, SCHEDULE, Interrupted, new_model, stop_after_four, toy_images

from scnet_edge.data.augment import Augmentation
from scnet_edge.data.samples import Sample
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.models.chain import Chain
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet
from scnet_edge.training.hardware import CPU
from scnet_edge.training.images import (
    TrainingImage,
    add_edges,
    batch_at,
    frames_of,
    load_images,
    share_out,
)
from scnet_edge.training.loop import (
    Material,
    begin,
    edge_loss,
    make_average,
    objective,
    train,
    update,
)
from scnet_edge.training.schedule import Schedule
from scnet_edge.training.start import new_hed


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rate": "stable", "decay_share": 0.5, "settle_norms": True},
        {"optimizer": "sgd", "pipe_share": 0.5, "region": "pooled-iou", "pixel": "balanced"},
    ],
    ids=["plain", "settled", "sgd"],
)
def test_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    schedule = dataclasses.replace(SCHEDULE, **changes)
    material = Material(images=toy_images())
    whole = new_model()
    whole_ema = train(whole, material, schedule, tmp_path / "whole")

    with pytest.raises(Interrupted):
        train(new_model(), material, schedule, tmp_path / "cut", progress=stop_after_four)
    torch.manual_seed(99)
    resumed, seen = SCNet(CONFIG), []
    resumed_ema = train(
        resumed, material, schedule, tmp_path / "cut", progress=lambda step, _: seen.append(step)
    )
    assert seen == [4, 5, 6]
    for ours, theirs in ((resumed, whole), (resumed_ema, whole_ema)):
        for key, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[key], value), key


def test_loss_falls_on_a_toy(tmp_path: Path) -> None:
    losses: list[float] = []
    schedule = dataclasses.replace(SCHEDULE, steps=60, batch=4, ema_decay=0.9, checkpoint_every=60)
    model = new_model()
    ema = train(
        model,
        Material(images=toy_images()),
        schedule,
        tmp_path,
        progress=lambda _, x: losses.append(x),
    )
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])
    assert (tmp_path / "checkpoint.pt").is_file()
    assert not (tmp_path / "checkpoint.tmp").exists()

    x, mask = batch_at(1000, toy_images(), schedule)[:2]  # crops it has not seen
    with torch.inference_mode():
        p = torch.sigmoid(ema.eval()(x)[0])
    assert p[mask > 0].mean() > p[mask == 0].mean() + 0.2


@pytest.mark.parametrize(("clip", "norm"), [(None, 50.0), (5.0, 5.0), (80.0, 50.0)])
def test_a_step_is_as_long_as_the_clipped_gradient(clip: float | None, norm: float) -> None:
    weight = torch.nn.Linear(2, 1, bias=False).double()
    schedule = dataclasses.replace(
        SCHEDULE, optimizer="sgd", momentum=0, weight_decay=0, lr=1, clip=clip
    )
    training, before = begin(weight, schedule, CPU), weight.weight.detach().clone()
    update(training, (weight.weight * torch.tensor([[30.0, -40.0]])).sum(), schedule)
    moved = before - weight.weight.detach()
    torch.testing.assert_close(moved, norm / 50 * torch.tensor([[30.0, -40.0]]).double())


def test_finished_run_takes_no_more_steps(tmp_path: Path) -> None:
    schedule = dataclasses.replace(SCHEDULE, steps=2)
    material = Material(images=toy_images())
    train(new_model(), material, schedule, tmp_path)
    seen: list[int] = []
    train(new_model(), material, schedule, tmp_path, progress=lambda s, _: seen.append(s))
    assert seen == []


def test_batches_depend_on_seed_and_step_alone() -> None:
    images = toy_images()
    first, again, other = (batch_at(step, images, SCHEDULE) for step in (5, 5, 6))
    assert first[0].shape == (2, 3, 32, 32)
    assert first[1].shape == (2, 1, 32, 32)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert set(first[1].unique().tolist()) <= {0.0, 1.0}


def test_prior_is_binary_in_the_batch() -> None:
    images = [TrainingImage(i.frame, i.mask, i.mask.astype(np.uint8) * 255) for i in toy_images()]
    x, mask = batch_at(0, images, SCHEDULE)[:2]
    assert x.shape == (2, 4, 32, 32)
    assert set(x[:, 3].unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(x[:, 3:].bool(), mask.bool())  # the map is the mask here


def seen_by(net: SCNet, hed: HED, frame: np.ndarray) -> torch.Tensor:
    """Return the input (1, 4, h, w) that a chain gives its net."""
    size = frame.shape[0], frame.shape[1]
    chain = Chain(net, hed, frame_hw=size, size_hw=size).eval()
    given: list[torch.Tensor] = []
    net.register_forward_pre_hook(lambda _, x: given.append(x[0]))
    with torch.no_grad():
        chain(torch.from_numpy(frame[None]))
    return given[0]


def test_a_crop_without_a_map_is_looked_at_as_a_chain_does() -> None:
    torch.manual_seed(5)
    hed, net = new_hed(1 / 16).eval(), SCNet(dataclasses.replace(CONFIG, edges=True)).eval()
    image = toy_images()[0]
    with torch.no_grad():  # half of the pixels are edges
        hed.fuse.bias -= hed(frames_of(image.input()))[0].median()
    expected = seen_by(net, hed, image.frame)
    assert 0.01 < expected[:, 3].mean() < 0.99
    found = Material(images=[image], hed=hed).input(image.input())
    assert (found[:, 3] != expected[:, 3]).float().mean() < 0.002  # rounding, at the threshold
    torch.testing.assert_close(found[:, :3], expected[:, :3], rtol=0, atol=1e-6)


def test_a_net_learns_from_the_edges_of_its_crops() -> None:
    torch.manual_seed(5)
    hed, net = new_hed(1 / 16).eval(), SCNet(dataclasses.replace(CONFIG, edges=True)).eval()
    batch = batch_at(0, toy_images(), SCHEDULE)
    mapped = batch._replace(x=add_edges(hed, batch.x))
    looked = objective(Material(images=toy_images(), hed=hed), SCHEDULE, "cpu")(net, batch)
    assert looked == objective(Material(images=toy_images()), SCHEDULE, "cpu")(net, mapped)


class Bends(torch.nn.Module):
    """A teacher that marks where the green of a frame jumps."""

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor]:
        jumps = F.pad((frames[:, 1:2, :, 1:] - frames[:, 1:2, :, :-1]).abs(), (0, 1))
        return ((jumps > 60).float() * 6 - 3,)


def test_an_hed_learns_the_edges_of_another(tmp_path: Path) -> None:
    schedule = dataclasses.replace(
        SCHEDULE, steps=150, warmup=5, ema_decay=0.9, clip=1.0, checkpoint_every=150
    )
    torch.manual_seed(0)
    pupil, images = new_hed(1 / 8), toy_images()
    unseen = batch_at(1000, images, dataclasses.replace(schedule, batch=8, seed=9))
    loss_of = objective(Material(images=images, hed=Bends()), schedule, "cpu")
    with torch.no_grad():
        before = loss_of(pupil, unseen).item()
    learnt = train(pupil, Material(images=images, hed=Bends()), schedule, tmp_path)
    with torch.no_grad():
        after = loss_of(learnt, unseen).item()
    assert after < before / 2


def test_soft_edges_are_the_least_loss() -> None:
    """At a map of probability 0.3 the best logit is that of 0.3, for no class weighs more."""
    target = torch.full((1, 1, 16, 16), 0.3)
    loss = {p: edge_loss([torch.full_like(target, p).logit()] * 6, target) for p in (0.2, 0.3, 0.4)}
    assert min(loss, key=loss.__getitem__) == 0.3
    assert loss[0.3].item() == pytest.approx(-(0.3 * math.log(0.3) + 0.7 * math.log(0.7)), rel=1e-5)


def test_loading_checks_masks(tmp_path: Path) -> None:
    for name, size in (("image", (20, 30, 3)), ("white", (20, 30)), ("small", (18, 30))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full(size, 255, np.uint8))
    image, white, small = (tmp_path / f"{name}.png" for name in ("image", "white", "small"))
    black, half = tmp_path / "black.png", tmp_path / "half.png"
    cv2.imwrite(str(black), np.zeros((20, 30), np.uint8))
    cv2.imwrite(str(half), np.repeat(np.uint8([[255, 0]]), 15, 1).repeat(20, 0))
    both = [Sample(image, black), Sample(image, half)]
    assert load_images(both, None)[0].edges is None
    with pytest.raises(InputError, match="expected cracks in the masks of 1 images"):
        load_images(both[:1], None)
    with pytest.raises(InputError, match=r"white\.png: 100 % of it is crack, .*inverted"):
        load_images([Sample(image, white)], None)
    with pytest.raises(InputError, match=r"small\.png, 30x18 px, found 30x20 px"):
        load_images([Sample(image, small)], None)


def test_processes_together_see_the_batch_of_one() -> None:
    images, schedule = toy_images(), dataclasses.replace(SCHEDULE, batch=4)
    whole = batch_at(7, images, schedule)
    halves = [batch_at(7, images, schedule, share=(rank, 2)) for rank in range(2)]
    for part in range(2):
        together = torch.stack([half[part] for half in halves], 1).flatten(0, 1)
        assert torch.equal(together, whole[part])


def test_images_have_their_share_of_the_crops() -> None:
    wall = np.full((64, 64, 3), 77, np.uint8)
    pipe = TrainingImage(wall, np.zeros((64, 64), np.bool_), None)
    images = [*share_out(toy_images(), 0.75), *share_out([pipe, pipe], 0.25, taught=False)]
    schedule = Schedule(batch=200, augmentation=Augmentation(crop=16, photometric="none"))
    batch = batch_at(0, images, schedule)
    from_pipes = (batch.x == batch.x[:, :1, :1, :1]).all(1).all(1).all(1)
    assert 30 < from_pipes.sum() < 70
    assert torch.equal(batch.taught, ~from_pipes)


def test_rates() -> None:
    stable = Schedule(steps=100, warmup=10, rate="stable", decay_share=0.4, lr=1.0)
    assert [stable.rate_at(s) for s in (0, 9, 10, 60, 80)] == pytest.approx([0.1, 1, 1, 1, 0.5])
    cosine = Schedule(steps=110, warmup=10, lr=1.0)
    assert [cosine.rate_at(s) for s in (10, 60, 110)] == pytest.approx([1, 0.5, 0])
    assert Schedule(rate="constant", warmup=0, lr=1e-4).rate_at(3999) == 1e-4
    with pytest.raises(ConfigError, match="settle_norms"):
        Schedule(settle_norms=True)
    with pytest.raises(ConfigError, match="batch must be at least 1"):
        Schedule(batch=0)


def test_settled_norms_are_those_of_whole_images(tmp_path: Path) -> None:
    schedule = dataclasses.replace(
        SCHEDULE, rate="stable", decay_share=0.5, settle_norms=True, checkpoint_every=1
    )
    material, kept = Material(images=toy_images()), []

    def watch(step: int, loss: float) -> None:
        kept.append(model.encoder[0][1].running_mean.clone())

    model = new_model()
    train(model, material, schedule, tmp_path, progress=watch)
    assert not torch.equal(kept[1], kept[2])
    assert all(torch.equal(kept[3], later) for later in kept[4:])


def test_rate_that_falls_from_the_start_keeps_the_norms(tmp_path: Path) -> None:
    schedule = dataclasses.replace(SCHEDULE, rate="stable", decay_share=1.0, settle_norms=True)
    model = new_model()
    before = model.encoder[0][1].running_mean.clone()
    trained = train(model, Material(images=toy_images()), schedule, tmp_path)
    assert torch.equal(trained.encoder[0][1].running_mean, before)
    assert not torch.equal(trained.fuse.weight, new_model().fuse.weight)


def test_average_forgets_the_first_weights_of_a_short_run() -> None:
    weight, average, kept = torch.zeros(1), torch.ones(1), 1.0
    step = make_average(Schedule(ema_decay=0.9))
    for n in range(200):
        step([average], [weight], n)
        kept *= min(0.9, (1 + n) / (10 + n))
        assert average.item() == pytest.approx(kept, rel=1e-4)
        assert n < 30 or kept < 1e-6
    same = torch.ones(1)
    make_average(Schedule(ema_decay=0.0))([same], [weight], 0)
    assert same.item() == 0


def test_mixed_precision_learns_as_well(tmp_path: Path) -> None:
    losses: list[float] = []
    schedule = dataclasses.replace(SCHEDULE, steps=30, precision="bf16")
    material = Material(images=toy_images())
    train(new_model(), material, schedule, tmp_path, progress=lambda _, x: losses.append(x))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    model = new_model()
    with torch.no_grad():
        model.fuse.bias.fill_(math.nan)
    with pytest.raises(InputError, match=r"the loss is nan after 0 steps; begin another --out"):
        train(model, Material(images=toy_images()), SCHEDULE, tmp_path)


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    material = Material(images=toy_images())
    train(new_model(), material, SCHEDULE, tmp_path)
    other = SCNet(dataclasses.replace(CONFIG, levels=4))
    with pytest.raises(ConfigError, match="of another model or preset"):
        train(other, material, SCHEDULE, tmp_path)
