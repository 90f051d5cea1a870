"""What a pixel teaches: nothing where it is ignored, and what teachers say of it."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from toys import CONFIG, SCHEDULE, new_model, toy_images

from scnet_edge.models.scnet import SCNet
from scnet_edge.training.images import (
    COARSE_PX,
    batch_at,
    believe,
)
from scnet_edge.training.loop import (
    Material,
    objective,
    probability,
)


def test_what_is_ignored_moves_no_loss() -> None:
    image = toy_images()[0]
    ignored = np.zeros_like(image.mask)
    ignored[:, 40:] = True
    coarse = dataclasses.replace(image, ignored=ignored)
    schedule = dataclasses.replace(SCHEDULE, batch=1)
    batch = batch_at(3, [coarse], schedule)
    assert 0 < batch.ignored.sum() < batch.ignored.numel()
    assert not (batch.mask.bool() & batch.ignored).any()
    logits = torch.randn(batch.mask.shape, requires_grad=True)
    of = objective(Material(images=[coarse]), schedule, "cpu")
    of(_Says(logits), batch).backward()
    assert logits.grad is not None
    assert not logits.grad[batch.ignored].any()
    assert logits.grad[~batch.ignored].all()


class _Says(torch.nn.Module):
    """A model that says the same whatever it sees."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return self.logits, [self.logits]


def test_coarse_masks_teach_the_dark_line_in_them_but_not_their_width() -> None:
    frame = np.full((80, 100, 3), 180, np.uint8)
    frame[:, 48:51] = 60  # the crack
    coarse = np.zeros((80, 100), np.bool_)
    coarse[:, 42:54] = True  # three times as wide, and not in its middle
    crack, ignored = believe(frame, coarse)
    assert np.array_equal(np.flatnonzero(crack[40]), [48, 49, 50])
    known = np.flatnonzero(~ignored[40] & ~crack[40])
    assert known.tolist() == [*range(42 - COARSE_PX), *range(54 + COARSE_PX, 100)]


@pytest.mark.parametrize("asked", [False, True])
def test_teachers_add_the_cross_entropy_with_their_mean_probability(asked: bool) -> None:
    """Of an image that is not taught the truth takes the teachers' place."""
    images, model = toy_images(), new_model()
    torch.manual_seed(3)
    teachers = [SCNet(CONFIG).eval() for _ in range(2)]
    schedule = dataclasses.replace(SCHEDULE, distil_weight=3.0)
    batch = batch_at(0, images, SCHEDULE)
    batch = batch._replace(taught=torch.full_like(batch.taught, asked))
    taught, alone = (
        objective(Material(images=images, teachers=t), schedule, "cpu")(model.train(), batch)
        for t in (teachers, [])
    )
    with torch.no_grad():
        soft = sum(torch.sigmoid(teacher(batch.x)[0]) for teacher in teachers) / 2
        fused = model(batch.x)[0]
    soft = soft if asked else batch.mask
    expected = F.binary_cross_entropy(torch.sigmoid(fused), soft)
    assert (taught - alone).item() == pytest.approx(3 * expected.item(), rel=1e-4)


def test_teacher_without_the_prior_sees_the_colours_alone() -> None:
    torch.manual_seed(3)
    teacher = SCNet(CONFIG).eval()
    x = torch.rand(1, 4, 32, 32)
    assert torch.equal(probability([teacher], x), probability([teacher], x[:, :3]))


def test_pupil_without_the_prior_learns_from_a_teacher_that_sees_it() -> None:
    images = [
        dataclasses.replace(image, edges=(image.mask * 255).astype(np.uint8))
        for image in toy_images()
    ]
    torch.manual_seed(3)
    teacher, pupil = SCNet(dataclasses.replace(CONFIG, edges=True)).eval(), new_model()
    batch = batch_at(0, images, SCHEDULE)
    assert batch.x.shape[1] == 4
    material = Material(images=images, teachers=[teacher])
    blank = torch.cat([batch.x[:, :3], torch.zeros_like(batch.x[:, 3:])], 1)
    inputs = batch, batch._replace(x=blank)
    taught = [objective(material, SCHEDULE, "cpu")(pupil, seen) for seen in inputs]
    assert taught[0] != taught[1]  # the teacher sees the edges
    alone = [objective(Material(images=images), SCHEDULE, "cpu")(pupil, seen) for seen in inputs]
    assert alone[0] == alone[1]  # and the pupil does not


class Said(torch.nn.Module):
    """A model that says the same of every frame."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return self.logits, [self.logits]


@pytest.mark.parametrize("region", ["soft-iou", "pooled-iou", "dice", "lovasz", "none"])
@pytest.mark.parametrize("teachers", [0, 1])
def test_what_is_ignored_teaches_nothing(region: str, teachers: int) -> None:
    image = toy_images()[0]
    near = cv2.dilate(image.mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    told = dataclasses.replace(image, ignored=near & ~image.mask)
    schedule = dataclasses.replace(SCHEDULE, region=region, distil_weight=float(teachers))
    batch = batch_at(0, [told], schedule)
    assert batch.ignored.any()
    assert not (batch.mask.bool() & batch.ignored).any()
    material = Material(images=[told], teachers=[new_model().eval()] * teachers)
    loss_of = objective(material, schedule, "cpu")
    losses = []
    for said in (-5.0, 5.0):
        model = Said(torch.randn(batch.mask.shape, generator=torch.manual_seed(0)))
        model.logits.data[batch.ignored] = said
        loss = loss_of(model, batch)
        loss.backward()
        assert model.logits.grad is not None
        assert not model.logits.grad[batch.ignored].any()
        assert model.logits.grad[~batch.ignored].any()
        losses.append(loss.item())
    assert losses[0] == losses[1]
