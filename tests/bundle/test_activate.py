"""A build on the device, end to end on OpenVINO, and what the robot runs afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from scnet_edge import Pipeline
from scnet_edge.build import build_bundle
from scnet_edge.bundle import activate, compile
from scnet_edge.bundle import compile as compiling
from scnet_edge.bundle.activate import compile_bundle, roll_back
from scnet_edge.bundle.compile import open_in_child
from scnet_edge.bundle.device import Builds, claim_device, find_compiled, read_state, write_state
from scnet_edge.bundle.manifest import Precision, read_manifest, seal_of
from scnet_edge.bundle.recipe import Recipe
from scnet_edge.bundle.verify import read_golden, verify_bundle
from scnet_edge.engines.compiled import FallbackPrecision
from scnet_edge.engines.isolated.parent import IsolatedBackend
from scnet_edge.engines.isolated.worker import Opening
from scnet_edge.errors import BundleError, EngineError
from scnet_edge.folders import file_sha256

pytest.importorskip("openvino", reason="OpenVINO is not installed: nothing to compile with")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle, built on the device once."""
    bundle = tmp_path_factory.mktemp("device") / "bundle"
    build_bundle(Recipe(precision="fp32", size_hw=(64, 96)), bundle)
    compile_bundle(bundle, engine="openvino", threads=1)
    return bundle


@pytest.fixture
def bundle(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "bundle"))


def code_of(bundle: Path, name: str) -> Path:
    """Return the compiled code of a build."""
    return next((bundle / "device" / name).glob("*.blob"))


def test_what_was_built_is_verified_and_runs(bundle: Path) -> None:
    record = json.loads((bundle / "device" / "openvino-1" / "compiled.json").read_text())
    assert record["parity"]["mask_f1"] == pytest.approx(1)
    assert record["parity"]["max_abs_error"] < 1e-4
    assert "OpenVINO" in record["identity"]
    assert read_state(bundle).of("openvino").active == "openvino-1"
    code = code_of(bundle, "openvino-1")
    before = code.stat().st_mtime_ns
    manifest, parity = verify_bundle(bundle, engine="openvino", threads=1)
    assert parity.mask_f1 >= manifest.min_mask_f1
    golden = read_golden(bundle / "golden.npz")
    with Pipeline.open(bundle, engine="openvino", threads=1) as pipeline:
        found = pipeline(golden.frames[0]).probability
    np.testing.assert_allclose(found, golden.probability[0], atol=1e-4)
    # It was read and not compiled again: no second file, and the first as it was.
    assert [code] == list(code.parent.glob("*.blob"))
    assert code.stat().st_mtime_ns == before


def test_a_second_build_keeps_the_first_and_rolls_back_to_it(bundle: Path) -> None:
    for name, previous in (("openvino-2", "openvino-1"), ("openvino-3", "openvino-2")):
        done = compile_bundle(bundle, engine="openvino", threads=1)
        assert (done.name, done.previous) == (name, previous)
    assert {p.name for p in (bundle / "device").iterdir()} == {
        ".lock", "state.json", "openvino-2", "openvino-3"
    }  # fmt: skip
    assert roll_back(bundle, engine="openvino", threads=1).name == "openvino-2"
    swapped = Builds(active="openvino-2", previous="openvino-3")
    assert read_state(bundle).of("openvino") == swapped


def test_nothing_to_go_back_to(bundle: Path) -> None:
    with pytest.raises(BundleError, match="no earlier build of openvino on this device"):
        roll_back(bundle, engine="openvino")


def test_a_build_beside_a_damaged_active_keeps_the_good_one(bundle: Path) -> None:
    compile_bundle(bundle, engine="openvino", threads=1)
    code_of(bundle, "openvino-2").write_bytes(b"")
    done = compile_bundle(bundle, engine="openvino", threads=1)
    assert (done.name, done.previous) == ("openvino-3", "openvino-1")
    assert roll_back(bundle, engine="openvino", threads=1).name == "openvino-1"


def test_each_engine_has_its_own_two(bundle: Path) -> None:
    tensorrt = bundle / "device" / "tensorrt-1"
    shutil.copytree(bundle / "device" / "openvino-1", tensorrt)
    builds = Builds(active="tensorrt-1")
    write_state(bundle, read_state(bundle).put("tensorrt", builds))
    compile_bundle(bundle, engine="openvino", threads=1)
    assert read_state(bundle).of("tensorrt") == builds
    assert tensorrt.is_dir()
    with pytest.raises(BundleError, match="no earlier build of tensorrt"):
        roll_back(bundle, engine="tensorrt")
    assert roll_back(bundle, engine="openvino", threads=1).name == "openvino-1"


def test_what_failed_its_trial_never_runs(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_bundle(bundle, engine="openvino", threads=1)
    with monkeypatch.context() as patched:

        def drifted(*arguments: object) -> None:
            raise BundleError("mask F1 against PyTorch is 0.1")

        patched.setattr(activate, "try_compiled", drifted)
        with pytest.raises(BundleError, match=r"is 0\.1"):
            roll_back(bundle, engine="openvino")
    state = read_state(bundle)
    assert state.of("openvino") == Builds(active="openvino-2")
    assert "0.1" in state.bad["openvino-1"]
    code_of(bundle, "openvino-2").write_bytes(b"")
    with pytest.raises(EngineError, match=r"altered or damaged.*scnet-edge compile"):
        find_compiled(bundle, [bundle / "fused.onnx"], "openvino")
    with pytest.raises(BundleError, match="no earlier build"):
        roll_back(bundle, engine="openvino")


def test_a_damaged_state_is_mended_by_a_build(
    bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (bundle / "device" / "state.json").write_text("")
    done = compile_bundle(bundle, engine="openvino", threads=1)
    assert "building as if nothing had been built here" in caplog.text
    assert (done.name, done.previous) == ("openvino-2", "")
    folder = find_compiled(bundle, [bundle / "fused.onnx"], "openvino")
    assert folder == bundle / "device" / "openvino-2"


def test_one_process_at_a_time_builds_or_goes_back(bundle: Path) -> None:
    said = "device: another process is building here; wait for it or stop it first"
    with claim_device(bundle):
        for begun in (compile_bundle, roll_back):
            with pytest.raises(BundleError, match=said):
                begun(bundle, engine="openvino", threads=1)
    assert compile_bundle(bundle, engine="openvino", threads=1).name == "openvino-2"


@pytest.mark.parametrize("name", ["device", "device/state.json"])
def test_what_is_in_the_way_is_named(bundle: Path, name: str) -> None:
    path = bundle / name
    if name == "device":
        shutil.rmtree(path)
        path.write_text("a file")
    else:
        path.unlink()
        path.mkdir()
    for begun in (compile_bundle, roll_back):
        with pytest.raises(BundleError, match=rf"{path}: expected a .*, found .*; remove it"):
            begun(bundle, engine="openvino", threads=1)
    if name != "device":
        with pytest.raises(BundleError, match=r"state\.json: .*; run 'scnet-edge compile"):
            find_compiled(bundle, [bundle / "fused.onnx"], "openvino")


FRAMES = np.zeros((2, 64, 96, 3), np.uint8)
MAPS = np.zeros((2, 64, 96), np.float32)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "cannot be read"),
        ({"frames": FRAMES}, "probability is not a file"),
        ({"frames": FRAMES[:0], "probability": MAPS[:0]}, r"frames: expected uint8 of 4 axes"),
        ({"frames": FRAMES.astype(float), "probability": MAPS}, "frames: expected uint8"),
        ({"frames": FRAMES, "probability": MAPS[0, 0, 0]}, r"found float32 of shape \(1,\)"),
        ({"frames": FRAMES, "probability": MAPS[:1]}, r"each of 2 frames, found \[1\]"),
        ({"frames": FRAMES, "probability": MAPS, "edges": MAPS[:1]}, r"found \[2, 1\]"),
        (
            {"frames": FRAMES, "probability": MAPS[:, :9]},
            r"maps of \(64, 96\), the golden .*\(9, 96",
        ),
    ],
)
def test_golden_frames_that_are_none_under_a_forged_seal(
    arrays: dict[str, Any], said: str, bundle: Path
) -> None:
    np.savez(bundle / "golden.npz", **arrays)
    forged(bundle)
    for check in (compile_bundle, verify_bundle):
        with pytest.raises(BundleError, match=said):
            check(bundle, engine="openvino", threads=1)


@pytest.mark.parametrize("content", [b"", b"golden", b"\x93NUMPY\x01\x00"])
def test_golden_frames_that_are_no_archive(content: bytes, bundle: Path) -> None:
    (bundle / "golden.npz").write_bytes(content)
    forged(bundle)
    with pytest.raises(BundleError, match="golden frames cannot be read"):
        verify_bundle(bundle, engine="openvino")


def forged(bundle: Path) -> None:
    """Let the manifest say of the golden frames what they now are."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["golden.npz"] = file_sha256(bundle / "golden.npz")
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"seal": seal_of(manifest)}))


def test_an_engine_that_keeps_no_code(bundle: Path) -> None:
    with pytest.raises(EngineError, match=r"keeps no compiled code.*expected tensorrt or openvino"):
        compile_bundle(bundle, engine="onnxruntime")
    assert read_state(bundle).of("openvino").active == "openvino-1"


def test_a_build_that_fails_changes_nothing(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted((bundle / "device").rglob("*"))

    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(activate, "compile_graphs", full)
    with pytest.raises(OSError, match="No space"):
        compile_bundle(bundle, engine="openvino")
    assert sorted((bundle / "device").rglob("*")) == before
    assert find_compiled(bundle, [bundle / "fused.onnx"], "openvino")


def test_an_engine_that_could_not_write_its_code_is_refused(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted((bundle / "device").rglob("*"))

    def forgetful(opening: Opening) -> IsolatedBackend:  # what a full disk makes of OpenVINO
        return open_in_child(msgspec.structs.replace(opening, cache=None))

    monkeypatch.setattr(compiling, "open_in_child", forgetful)
    with pytest.raises(EngineError, match=r"kept no compiled code of fused\.onnx; free some space"):
        compile_bundle(bundle, engine="openvino", threads=1)
    assert sorted((bundle / "device").rglob("*")) == before
    assert read_state(bundle).of("openvino").active == "openvino-1"


def test_other_engines_are_not_concerned(bundle: Path) -> None:
    assert find_compiled(bundle, [bundle / "fused.onnx"], "onnxruntime") is None
    with Pipeline.open(bundle, engine="onnxruntime", threads=1) as pipeline:
        assert pipeline.engine == "onnxruntime CPU"


def test_an_edited_manifest_builds_nothing(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(
        text.replace('"min_mask_f1": 0.999', '"min_mask_f1": 0.5')
    )
    before = sorted((bundle / "device").rglob("*"))
    with pytest.raises(BundleError, match="was edited"):
        compile_bundle(bundle, engine="openvino")
    assert sorted((bundle / "device").rglob("*")) == before
    (bundle / "manifest.json").write_text(text)
    assert read_manifest(bundle)


def test_what_is_not_int8_runs_in_what_was_quicker_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "int8"
    build_bundle(Recipe(precision="int8", size_hw=(96, 160)), bundle)
    manifest = read_manifest(bundle)
    monkeypatch.setattr("scnet_edge.engines.openvino.cpu.has_bf16", lambda: True)
    for ratio, chosen in ((0.9, "bf16"), (0.99, "fp32")):
        monkeypatch.setattr(compile, "time_ratio", lambda *_, r=ratio: r)
        done = compile_bundle(bundle, engine="openvino", threads=1)
        assert done.record.fallback == FallbackPrecision(arithmetic=chosen, bf16_time=ratio)
        with Pipeline.open(bundle, engine="openvino", threads=1) as pipeline:
            assert ("BF16" in pipeline.engine) == (chosen == "bf16")
        assert done.parity.mask_f1 >= manifest.min_mask_f1


def test_bf16_is_not_asked_for_where_it_would_lose_the_masks(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = msgspec.structs.replace(read_manifest(bundle), precision="int8", min_mask_f1=1.01)
    monkeypatch.setattr("scnet_edge.engines.openvino.cpu.has_bf16", lambda: True)
    rest = compile.choose_fallback(bundle, manifest, "openvino", 1)
    assert rest == FallbackPrecision(arithmetic="fp32", bf16_time=None)


@pytest.mark.parametrize(("precision", "units"), [("fp32", True), ("fp16", True), ("int8", False)])
def test_there_is_no_choice_outside_int8_or_without_bf16(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision, units: bool
) -> None:
    manifest = msgspec.structs.replace(read_manifest(bundle), precision=precision)
    monkeypatch.setattr("scnet_edge.engines.openvino.cpu.has_bf16", lambda: units)
    assert compile.choose_fallback(bundle, manifest, "openvino", 1) is None
