"""The product in one module: a camera frame in, crack probability and edge map out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scnet_edge.errors import ModelError
from scnet_edge.models.baselines import CrackNet
from scnet_edge.models.sizes import SizeHW, check_size


class Chain(nn.Module):
    """Frame -> resize -> HED -> binary edge map -> concat -> SCNet -> probability.

    This is the PyTorch reference that every graph and engine is held to, and what is traced.

    Args:
        scnet: The segmentation net.
        hed: The `HED` of the prior, or what keeps its maps; given exactly when `scnet` takes the
            prior.
        frame_hw: Height and width of the frames that come in.
        size_hw: Height and width the networks run at, multiples of `scnet.config.stride`.
        edge_threshold: The prior is 1 where the HED probability is above this.
    """

    def __init__(
        self,
        scnet: CrackNet,
        hed: nn.Module | None,
        *,
        frame_hw: SizeHW,
        size_hw: SizeHW,
        edge_threshold: float = 0.5,
    ) -> None:
        super().__init__()
        check_size(size_hw, scnet.config.stride)
        if scnet.config.edges != (hed is not None):
            needs = "needs the HED prior" if scnet.config.edges else "takes no prior"
            raise ModelError(
                f"this SCNet {needs}, but HED was {'not ' if hed is None else ''}given"
            )
        self.scnet, self.hed = scnet, hed
        self.frame_hw, self.size_hw, self.edge_threshold = frame_hw, size_hw, edge_threshold

    def image(self, frame: Tensor) -> Tensor:
        """Map (N, H, W, 3) uint8 BGR to (N, 3, h, w) float32 BGR in [0, 255]."""
        # The cast comes first: TensorRT takes a uint8 input only into a Cast.
        image = frame.to(torch.float32).permute(0, 3, 1, 2)  # (N, 3, H, W)
        if self.frame_hw != self.size_hw:
            image = F.interpolate(image, size=self.size_hw, mode="bilinear", align_corners=False)
        return image

    def prior(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, 3, h, w) BGR in [0, 255] to prior (N, 1, h, w) in {0, 1} and edges (N, h, w)."""
        if self.hed is None:
            raise ModelError("this chain has no prior")
        edges = torch.sigmoid(self.hed(image)[0])  # (N, 1, h, w)
        return (edges > self.edge_threshold).to(image.dtype), edges[:, 0]

    def probability(self, image: Tensor, prior: Tensor | None) -> Tensor:
        """Map (N, 3, h, w) BGR in [0, 255] and the prior to the crack probability (N, h, w)."""
        x = image.flip(1) / 127.5 - 1  # RGB in [-1, 1]
        if prior is not None:
            x = torch.cat([x, prior], 1)  # (N, 4, h, w)
        return torch.sigmoid(self.scnet(x)[0])[:, 0]

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        """Map (N, H, W, 3) uint8 BGR to probability (N, h, w); with a prior also edges, prior."""
        image = self.image(frame)
        if self.hed is None:
            return (self.probability(image, None),)
        prior, edges = self.prior(image)
        return self.probability(image, prior), edges, prior
