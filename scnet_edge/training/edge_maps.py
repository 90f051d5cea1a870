"""HED's edge maps in a folder: every image is looked at once, however often it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from scnet_edge.data.frames import EDGE_THRESHOLD
from scnet_edge.engines.torch_eager import without_tf32
from scnet_edge.errors import InputError
from scnet_edge.files import write_image
from scnet_edge.models.hed import HED
from scnet_edge.types import Frame

EdgeMap: TypeAlias = npt.NDArray[np.uint8]  # (H, W), the HED probability times 255
MapOf: TypeAlias = Callable[[Frame], EdgeMap]


class KeptHED(nn.Module):
    """An HED that keeps its probability of each image as an 8-bit PNG, named by the image's hash.

    It stands where an `HED` stands in a `Chain`: the binary prior is the same. A folder is of one
    HED; another one's maps belong into another folder.

    Args:
        hed: In eval mode, on the device it shall run on.
        folder: Gets the maps; it may hold earlier ones.
    """

    def __init__(self, hed: HED, folder: Path) -> None:
        super().__init__()
        self.hed = hed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Return fused edge logits (1, 1, H, W) of an image (1, 3, H, W), BGR in [0, 255]."""
        kept = torch.from_numpy(self._map(image))[None, None]
        return (torch.logit(kept / 255, eps=1e-6).to(image.device),)

    def map_of(self, frame: Frame) -> EdgeMap:
        """Return the map (H, W) uint8 of a frame (H, W, 3) uint8, BGR.

        Raises:
            InputError: the file of the map cannot be read.
        """
        return self._map(torch.from_numpy(frame.transpose(2, 0, 1)[None].astype(np.float32)))

    def _map(self, image: Tensor) -> EdgeMap:
        pixels = np.ascontiguousarray(image.cpu().numpy())
        digest = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=12)
        path = self.folder / f"{digest.hexdigest()}.png"
        if not path.exists():
            self._write(path, image)
        kept = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if kept is None:
            raise InputError(f"{path}: the edge map cannot be read; delete it")
        return np.asarray(kept, np.uint8)

    def _write(self, path: Path, image: Tensor) -> None:
        image = image.to(next(self.hed.parameters()).device)
        with torch.inference_mode(), without_tf32():  # later runs, on a CPU too, read this map
            edges = torch.sigmoid(self.hed(image.contiguous(memory_format=torch.channels_last))[0])
        grey = (edges[0, 0].cpu().numpy() * 255).round().astype(np.uint8)
        write_image(path, grey, durable=False)  # several processes may share the folder


def agreement(hed: HED, theirs: MapOf, frames: Iterable[Frame]) -> float:
    """Return the F1 of the binary edges of an HED in eval mode against those of another.

    Args:
        hed: On any device.
        theirs: Gives the other's map of a frame.
        frames: (H, W, 3) uint8, BGR.
    """
    right = called = true = 0
    device = next(hed.parameters()).device
    for frame in frames:
        image = torch.from_numpy(frame.transpose(2, 0, 1)[None].astype(np.float32)).to(device)
        with torch.inference_mode():
            logits = hed(image.contiguous(memory_format=torch.channels_last))[0]
        own = (torch.sigmoid(logits)[0, 0] > EDGE_THRESHOLD).cpu().numpy()
        other = theirs(frame) > EDGE_THRESHOLD * 255
        right += int((own & other).sum())
        called += int(own.sum())
        true += int(other.sum())
    return 2 * right / max(1, called + true)
