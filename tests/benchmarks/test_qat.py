"""Fake quantisation in PyTorch against the Q/DQ graph in ONNX Runtime, and that training helps."""

from __future__ import annotations

import copy

import numpy as np
import onnxruntime as ort
import torch

from benchmarks.qat import finetune, with_fake_quantisation
from scnet_edge.data.augment import Augmentation
from scnet_edge.models.chain import Chain
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.onnx_export.rewrite import exportable, fold_batch_norms
from scnet_edge.onnx_export.trace import trace_chain
from scnet_edge.quantization.qdq import quantisable, quantise
from scnet_edge.simulation.clip import render_stills
from scnet_edge.training.images import TrainingImage
from scnet_edge.training.schedule import Schedule

SIZE = (64, 96)


def folded_net() -> SCNet:
    torch.manual_seed(0)
    config = SCNetConfig(levels=3, width=1 / 16, norm="batch", edges=False)
    scnet = SCNet(config).eval()
    fold_batch_norms(scnet)
    return scnet


def graph_of(scnet: SCNet):
    chain = Chain(scnet, None, frame_hw=SIZE, size_hw=SIZE)
    return trace_chain(exportable(chain))


def test_torch_computes_what_the_int8_graph_computes() -> None:
    scnet = folded_net()
    model = graph_of(scnet)
    ranges = dict.fromkeys(quantisable(model), 0.8)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    graph = quantise(model, ranges).SerializeToString()
    session = ort.InferenceSession(graph, options, ["CPUExecutionProvider"])
    frame = next(render_stills(1, SIZE, seed=0))[0][None]
    (expected,) = session.run(["probability"], {"frame": frame})
    wrapped = Chain(
        with_fake_quantisation(copy.deepcopy(scnet), ranges), None, frame_hw=SIZE, size_hw=SIZE
    )
    with torch.inference_mode():
        (ours,) = wrapped(torch.from_numpy(frame))
    # A value on the border of two levels may fall to either side.
    assert np.abs(ours.numpy() - expected).mean() < 1e-4


def test_training_lowers_the_loss_and_gives_the_bare_net_back() -> None:
    scnet = folded_net()
    keys = set(scnet.state_dict())
    before = {k: v.clone() for k, v in scnet.state_dict().items()}
    ranges = dict.fromkeys(quantisable(graph_of(scnet)), 0.8)
    images = [
        TrainingImage(frame=f, mask=m, edges=None) for f, m in render_stills(4, (96, 96), seed=1)
    ]
    losses: list[float] = []
    schedule = Schedule(
        steps=12, batch=2, lr=3e-3, augmentation=Augmentation(crop=64, photometric=False)
    )
    tuned = finetune(scnet, ranges, images, schedule, lambda step, loss: losses.append(loss))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert set(tuned.state_dict()) == keys
    assert not tuned.training
    moved = [
        name for name, value in tuned.state_dict().items() if not torch.equal(value, before[name])
    ]
    assert "encoder.0.0.weight" in moved
