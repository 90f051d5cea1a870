"""What is whole, by the readers of those who would open it; each raises where it is half."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import rasterio
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from msgspec.structs import replace
from safetensors.numpy import load_file

from scnet_edge.archive.folder import film_folder, read_archive
from scnet_edge.archive.manifest import read_manifest as read_archive_manifest
from scnet_edge.bundle.device import opening_for
from scnet_edge.bundle.manifest import read_manifest
from scnet_edge.bundle.signing import SIGNATURE, require_signature
from scnet_edge.config import parse_toml
from scnet_edge.data.corpus import read_corpus
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.pictures import read_image
from scnet_edge.folders import file_sha256
from scnet_edge.orthophoto.run import NAMES, SUMMARY
from scnet_edge.sinks.recover import recover_file
from scnet_edge.survey.evidence import read_crack_mask
from scnet_edge.survey.folder import read_survey

Check = Callable[[Path], None]


def json_file(path: Path) -> None:
    """Require JSON."""
    json.loads(path.read_text())


def page(path: Path) -> None:
    """Require an HTML page with its end."""
    text = path.read_text()
    assert text.rstrip().endswith("</html>"), text[-80:]


def tables(folder: Path) -> None:
    """Require CSV whose last line has its end."""
    for path in folder.rglob("*.csv"):
        assert path.read_text().endswith("\n")


def require_export(name: str) -> Check:
    """Require a JSON export."""
    return lambda folder: json_file(folder / name)


def xml(folder: Path) -> None:
    """Require XML to its end."""
    for path in folder.glob("*.xml"):
        ElementTree.parse(path)


def lines(path: Path) -> None:
    """Require whole lines of JSON."""
    data = path.read_bytes()
    assert data.endswith(b"\n")
    for line in data.splitlines():
        json.loads(line)


def footage(folder: Path) -> None:
    """Require all that a simulation consists of."""
    json_file(folder / "truth.json")
    assert {"footage.mp4", "odometry.csv", "pipe.toml", "masks"} <= {
        p.name for p in folder.iterdir()
    }


def run_folder(folder: Path) -> None:
    """Require all that a run consists of."""
    lines(folder / "results.jsonl")
    page(folder / "report.html")


def survey(folder: Path) -> None:
    """Require a survey that can be read, with every picture that it names, and its report."""
    for observation in read_survey(folder).observations:
        if observation.snapshot:
            assert (folder / "snapshots" / observation.snapshot).is_file()
    if (folder / "report.html").exists():
        page(folder / "report.html")


def drawn_survey(folder: Path) -> None:
    """Require that a record that is accepted has the mask that was drawn for it."""
    survey(folder)
    for observation in read_survey(folder).observations:
        mask = read_crack_mask(folder, observation)
        assert mask is not None
        assert observation.review == "needs_review" or mask[:9, :9].all()


def read_records(folder: Path) -> object:
    """Return the records of a survey, but for when they were reviewed, and its masks."""
    records = read_survey(folder).observations
    return [replace(o, reviewed_utc="") for o in records], files(folder / "snapshots", "*.png")


def bundle_folder(folder: Path) -> None:
    """Require a bundle whose every hash is right, and compiled code and a signature that hold."""
    manifest = read_manifest(folder)
    opening_for(folder, manifest, "openvino")
    if (folder / SIGNATURE).exists():
        require_signature(folder, folder.parents[1] / "keys" / "maker.pub")


def toml(path: Path) -> None:
    """Require TOML."""
    parse_toml(path.read_text())


def training(folder: Path) -> None:
    """Require weights and a checkpoint that can be read, as far as there are any."""
    for path in folder.glob("*.safetensors"):
        load_file(path)


def weights(folder: Path) -> object:
    """Return the weights of a training."""
    return files(folder, "*.safetensors")


def archive(folder: Path) -> None:
    """Require that each film that is marked as done has its survey, and whole pages."""
    if not (folder / "archive.json").exists():
        return
    _, manifest, done = read_archive(folder)
    for film in manifest.films:
        if film.film_id in done:
            survey(film_folder(folder, film) / "survey")
    for path in folder.rglob("*.html"):
        assert "</html>" in path.read_text()[-120:]


def files(folder: Path, pattern: str = "*") -> dict[str, str]:
    """Return the hash of each file by its path; of locks and what waits to be swept, nothing."""
    found = [p for p in folder.rglob(pattern) if p.is_file() and not p.name.startswith(".")]
    return {str(p.relative_to(folder)): file_sha256(p) for p in found}


def read_films(path: Path) -> None:
    """Require a manifest with both films."""
    assert len(read_archive_manifest(path).films) == 2


def data_set(folder: Path) -> None:
    """Require a corpus whose pictures all have their masks."""
    for part in ("train", "test"):
        if (folder / part / "images").exists():
            for sample in open_dataset(f"folder:{folder / part}", "all"):
                sample.read_truth()
    if (folder / "corpus.toml").exists():
        read_corpus(folder / "corpus.toml")


def compared(folder: Path) -> None:
    """Require an archive with its page, its pairings and its data set."""
    archive(folder)
    if (folder / "pairings.json").exists():
        json_file(folder / "pairings.json")
    data_set(folder / "training")


def pictures(folder: Path) -> None:
    """Require pictures that can be read."""
    for path in folder.rglob("*.png"):
        read_image(path)


def keys(folder: Path) -> None:
    """Require keys that can be read; the private one by its owner alone."""
    private, public = folder / "maker.pem", folder / "maker.pub"
    if private.exists():
        assert private.stat().st_mode & 0o777 == 0o600
        load_pem_private_key(private.read_bytes(), None)
    if public.exists():
        load_pem_public_key(public.read_bytes())


def triton(folder: Path) -> None:
    """Require a model with its graph and its configuration."""
    assert {p.name for p in (folder / "m").iterdir()} == {"config.pbtxt", "1"}
    assert (folder / "m" / "1" / "model.onnx").stat().st_size > 1000


def orthophoto(folder: Path) -> None:
    """Require all that a summary speaks of; without a summary the work goes on."""
    if not (folder / SUMMARY).exists():
        return
    json_file(folder / SUMMARY)
    with rasterio.open(folder / "mask.tif") as mask:
        mask.read(1)
    json_file(folder / "cracks.geojson")
    assert set(NAMES) <= {p.name for p in folder.iterdir()}


def cracks(folder: Path) -> object:
    """Return the hashes of an orthophoto's mask and cracks, as far as they are there."""
    found = (folder / name for name in ("mask.tif", "cracks.geojson"))
    return [file_sha256(path) for path in found if path.exists()]


def sinks(folder: Path) -> None:
    """Require that what sinks have written is whole, but for the last record's tail."""
    for path in (*folder.glob("*.jsonl"), *folder.glob("*.mcap")):
        whole = path.with_name(f".whole{path.suffix}")
        whole.unlink(missing_ok=True)
        if path.stat().st_size:
            recover_file(path, whole)
    pictures(folder / "masks")
