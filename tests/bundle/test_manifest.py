"""A bundle is what its manifest says, or it is not opened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scnet_edge.bundle.manifest import (
    SCHEMA,
    Accuracy,
    InputContract,
    Manifest,
    ModelIdentity,
    read_manifest,
    record_accuracy,
    seal_of,
    write_manifest,
)
from scnet_edge.errors import BundleError
from scnet_edge.folders import file_sha256
from scnet_edge.types import Parity

PARITY = Parity(
    engine="test", frames=1, max_abs_error=0.0, mean_abs_error=0.0, mask_agreement=1.0, mask_f1=1.0,
    prior_flip_rate=None,
)  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "fused.onnx").write_bytes(b"graph")
    manifest = Manifest(
        schema=SCHEMA,
        model=ModelIdentity(name="m", prior="none", sha256={"m": "0"}, licence="x"),
        input=InputContract(frame_hw=(32, 32), size_hw=(32, 32)),
        threshold=0.5, precision="fp32", calibration=None, parity=PARITY, min_mask_f1=0.9,
        accuracy=Accuracy(data="d", images=1, f1=0.8, f1_reference=0.8, engine="test"),
        quantised_convolutions=0, files={"fused.onnx": file_sha256(folder / "fused.onnx")},
        tools={}, created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    write_manifest(folder, manifest)
    return folder


def edit(bundle: Path, *, sealed: bool = True, **changes: object) -> None:
    path = bundle / "manifest.json"
    fields = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(fields | ({"seal": seal_of(fields)} if sealed else {})))


def test_round_trip(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.files["fused.onnx"] == file_sha256(bundle / "fused.onnx")
    write_manifest(bundle, manifest)
    assert read_manifest(bundle) == manifest


def test_an_accuracy_is_recorded_and_read_back(bundle: Path) -> None:
    scored = Accuracy(data="d test", images=3, f1=0.75, f1_reference=0.8, engine="test")
    record_accuracy(bundle, read_manifest(bundle), scored)
    assert read_manifest(bundle).accuracy == scored
    assert sorted(p.name for p in bundle.iterdir()) == ["fused.onnx", "manifest.json"]


@pytest.mark.parametrize(
    "changes", [{"threshold": 0.4}, {"min_mask_f1": 0.1}, {"seal": ""}, {"seal": "0" * 64}]
)
def test_edited_by_hand(bundle: Path, changes: dict[str, object]) -> None:
    edit(bundle, sealed=False, **changes)
    with pytest.raises(BundleError, match=r"was edited after it was written.*build the bundle"):
        read_manifest(bundle)


def test_laid_out_otherwise_is_not_edited(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    edit(bundle, sealed=False)  # other spaces, the same fields
    assert read_manifest(bundle) == manifest


def test_altered_and_missing_files(bundle: Path) -> None:
    (bundle / "fused.onnx").write_bytes(b"grapH")
    with pytest.raises(BundleError, match="altered"):
        read_manifest(bundle)
    (bundle / "fused.onnx").unlink()
    with pytest.raises(BundleError, match="missing"):
        read_manifest(bundle)


@pytest.mark.parametrize("name", ["../outside.onnx", "/etc/hostname", "sub/fused.onnx"])
def test_names_outside_the_bundle(bundle: Path, name: str) -> None:
    edit(bundle, files={name: "0"})
    with pytest.raises(BundleError, match="plain name"):
        read_manifest(bundle)


def test_links_are_refused(bundle: Path, tmp_path: Path) -> None:
    (bundle / "fused.onnx").rename(tmp_path / "real.onnx")
    (bundle / "fused.onnx").symlink_to(tmp_path / "real.onnx")
    with pytest.raises(BundleError, match="plain name"):
        read_manifest(bundle)


@pytest.mark.parametrize(
    "changes",
    [{"schema": SCHEMA + 1}, {"surprise": 1}, {"threshold": "high"}, {"files": {}}],
    ids=["schema", "unknown key", "wrong type", "no graph"],
)
def test_manifest_of_another_shape(bundle: Path, changes: dict[str, object]) -> None:
    edit(bundle, **changes)
    with pytest.raises(BundleError) as error:
        read_manifest(bundle)
    assert "\n" not in str(error.value)


def test_a_bundle_of_another_schema_says_what_to_do(bundle: Path) -> None:
    (bundle / "manifest.json").write_text('{"schema": 1, "model": "of long ago"}')
    with pytest.raises(BundleError, match=f"schema 1, this version reads {SCHEMA}; build it again"):
        read_manifest(bundle)


def test_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected a bundle folder"):
        read_manifest(tmp_path / "nothing")
    with pytest.raises(BundleError, match="no such file"):
        read_manifest(tmp_path)
