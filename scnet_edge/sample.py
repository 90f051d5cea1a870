"""The sample that rides in the wheel: a film of a pipe, its truth, and a bundle made beforehand."""

from __future__ import annotations

import tarfile
from pathlib import Path

from scnet_edge.errors import ConfigError
from scnet_edge.folders import new_folder

PACKAGE = Path(__file__).resolve().parent
FOLDERS = (PACKAGE / "samples", PACKAGE.parent / "samples")  # of a wheel, and of a checkout
FILM, TRUTH, PIPE, ARCHIVE = "pipe.mp4", "pipe_truth.npz", "pipe.toml", "bundle.tar.xz"
ODOMETRY = "speed://0.109mps"  # what the film's robot drives at
MANIFEST = "manifest.json"


def sample_file(name: str) -> Path:
    """Return the path of a file of the sample.

    Raises:
        ConfigError: this installation does not have it.
    """
    found = next((f / name for f in FOLDERS if (f / name).is_file()), None)
    if found is not None:
        return found
    if name == ARCHIVE:
        raise ConfigError(
            "no bundle was packed into this installation, as is usual in a source checkout; there "
            "'make demo' builds one and shows the same"
        )
    raise ConfigError(f"{name}: not in this installation; install scnet-edge again from a wheel")


def unpack_bundle(out: Path) -> None:
    """Write the bundle of the sample as the new folder `out`; it needs neither torch nor onnx.

    Raises:
        ConfigError: `out` is in the way, or this installation has no bundle.
    """
    with (
        tarfile.open(sample_file(ARCHIVE), "r:xz") as archive,
        new_folder(out, marker=MANIFEST) as folder,
    ):
        for member in archive:
            data = archive.extractfile(member)
            if data is None or Path(member.name).name != member.name:
                raise ConfigError(f"{ARCHIVE}: {member.name!r} is not a plain file; install again")
            (folder / member.name).write_bytes(data.read())
