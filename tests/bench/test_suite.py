from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from scnet_edge import build
from scnet_edge.bench import profile, subject
from scnet_edge.bench.bundles import bundle_of, gflop
from scnet_edge.bench.schema import Case
from scnet_edge.bench.subject import BenchmarkSubject
from scnet_edge.bench.suite import PACKAGE, find_suite, read_suite, suite_sha256
from scnet_edge.bundle.manifest import Calibration, Manifest, read_manifest, write_manifest
from scnet_edge.engines.compiled import COMPILED
from scnet_edge.engines.fake import FakeBackend
from scnet_edge.errors import BundleError, ConfigError
from scnet_edge.models.cards import find_card
from scnet_edge.quantization.ranges import find_ranges

SUITE = """
models = ["scnet-small"]
sizes_hw = [[64, 96], [96, 128]]
contenders = [
    { engine = "torch", precision = "fp32", mode = "compile" },
    { engine = "openvino", precision = "int8" },
]
"""


SUITES = sorted([*PACKAGE.glob("*.toml"), *PACKAGE.parents[1].glob("benchmarks/*.toml")])


@pytest.mark.parametrize("path", SUITES, ids=lambda p: p.stem)
def test_suites_name_shipped_models(path: Path) -> None:
    suite = read_suite(path)
    cases = [case for group in suite.cases() for case in group]
    assert cases
    assert all(case.is_folder or find_card(case.model).kind == "scnet" for case in cases)


@pytest.mark.parametrize(
    ("frame_hw", "found"),
    [
        ("[1, 1]", "1x1 px, expected sides of at least 16 px"),
        ("[1, 20000]", "20000x1 px, expected sides of at least 16 px"),
        ("[20000, 20000]", "20000x20000 px, expected at most 100 megapixels"),
    ],
)
def test_a_size_that_no_frame_can_have_is_refused(
    tmp_path: Path, frame_hw: str, found: str
) -> None:
    path = tmp_path / "some.toml"
    path.write_text(f"frame_hw = {frame_hw}\n" + SUITE)
    with pytest.raises(ConfigError, match=f"some.toml: frame_hw: {found}"):
        read_suite(path)


def test_cases_take_turns_by_model_and_size(tmp_path: Path) -> None:
    (tmp_path / "some.toml").write_text(SUITE)
    name, suite = find_suite(tmp_path / "some.toml", quick=False)
    assert name == "some"
    assert [[c.label for c in group] for group in suite.cases()] == [
        ["torch fp32 compile", "openvino int8"]
    ] * 2
    assert [group[0].size_hw for group in suite.cases()] == [(64, 96), (96, 128)]


def test_all_models_of_a_size_take_turns_together(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text("together = true\n" + SUITE.replace('"scnet-small"]', '"scnet-small", "a/b"]'))
    suite = read_suite(path)
    assert [[c.model for c in group] for group in suite.cases()] == [
        ["scnet-small", "scnet-small", "a/b", "a/b"]
    ] * 2
    assert [{c.size_hw for c in group} for group in suite.cases()] == [{(64, 96)}, {(96, 128)}]
    assert suite.first_model == "scnet-small"


def test_a_new_key_leaves_the_hash_of_older_suites_alone(tmp_path: Path) -> None:
    """Where it says false, that is; a test of the repository holds the H100's file to its suite."""
    path = tmp_path / "some.toml"
    hashes = set()
    for line in ("", "together = false\n", "together = true\n"):
        path.write_text(line + SUITE)
        hashes.add(suite_sha256(read_suite(path)))
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("scopes = []", "length >= 1"),
        ("sizes_hw = []", "length >= 1"),
        ("contenders = []", "length >= 1"),
        ('models = ["scnet-smal"]', "scnet-smal: expected .*scnet-small, .* a / in it"),
        ("colour = 1", "unknown field `colour`"),
        ("rounds = 0", "rounds"),
        ('scopes = ["glass"]', "glass"),
        ("models = 3", "models"),
    ],
)
def test_a_wrong_key_or_value_is_refused(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "wrong.toml"
    whole = SUITE.replace("\n    ", "").replace(",\n]", "]")
    kept = [k for k in whole.splitlines() if not k.startswith(line.split()[0])]
    path.write_text("\n".join([line, *kept]))
    with pytest.raises(ConfigError, match=said) as raised:
        read_suite(path)
    assert "\n" not in str(raised.value)


def test_a_contender_that_no_engine_knows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(SUITE.replace('"compile"', '"fast"'))
    with pytest.raises(ConfigError, match="eager or compile"):
        read_suite(path)


@pytest.mark.parametrize(
    ("contenders", "said"),
    [
        ('{ engine = "openvino", precision = "int8" }', "scnet-small openvino int8 .*twice"),
        ('{ engine = "torch", precision = "fp32", mode = "eager", models = [] }', "length >= 1"),
        ('{ engine = "torch", precision = "fp32", mode = "eager", models = ["hed"] }', "name hed"),
    ],
)
def test_a_contender_that_measures_nothing_new_is_refused(
    tmp_path: Path, contenders: str, said: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(SUITE.replace("\n]", f"\n    {contenders},\n]"))
    with pytest.raises(ConfigError, match=said) as raised:
        read_suite(path)
    assert "\n" not in str(raised.value)


def test_a_file_and_quick_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="not both"):
        find_suite(Path("some.toml"), quick=True)


def of_shipped_weights(manifest: Manifest) -> Manifest:
    weights = {"scnet-small": find_card("scnet-small").sha256}
    model = msgspec.structs.replace(manifest.model, sha256=weights)
    return msgspec.structs.replace(manifest, model=model)


def test_a_bundle_of_other_weights_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, darkness_bundle: Callable
) -> None:
    case = Case(model="scnet-small", precision="fp32", engine="openvino", size_hw=(64, 96))
    bundle, built = tmp_path / "scnet-small-64x96-fp32", []
    monkeypatch.setattr(build, "build_bundle", lambda recipe, out, **_: built.append(out))
    shutil.copytree(darkness_bundle((64, 96)), bundle)
    assert bundle_of(case, tmp_path) == bundle
    assert built == [bundle]
    write_manifest(bundle, of_shipped_weights(read_manifest(bundle)))
    assert bundle_of(case, tmp_path) == bundle
    assert built == [bundle]


def test_a_bundle_of_other_ranges_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, darkness_bundle: Callable
) -> None:
    case = Case(model="scnet-small", precision="int8", engine="openvino", size_hw=(64, 96))
    bundle, built = tmp_path / "scnet-small-64x96-int8", []
    monkeypatch.setattr(build, "build_bundle", lambda recipe, out, **_: built.append(out))
    shutil.copytree(darkness_bundle((64, 96)), bundle)
    manifest = of_shipped_weights(read_manifest(bundle))
    shipped = find_ranges("scnet-small", manifest.model.sha256).key
    for key, builds in ((shipped, 0), ("0" * 64, 1)):
        ranges = Calibration(source="s", method="mse", frames=8, sha256="0" * 64, key=key)
        write_manifest(bundle, msgspec.structs.replace(manifest, calibration=ranges))
        bundle_of(case, tmp_path)
        assert len(built) == builds


def test_a_folder_of_bundles_needs_what_counts_its_operations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, darkness_bundle: Callable
) -> None:
    folder = darkness_bundle((64, 96))
    case = Case(model=f"{folder}/", precision="fp32", engine="tensorrt", size_hw=(64, 96))
    monkeypatch.setattr(profile, "find_spec", lambda name: name == "onnx")
    assert bundle_of(case, tmp_path) == folder
    assert gflop(case, folder) == 0  # it has no convolution
    monkeypatch.setattr(profile, "find_spec", lambda name: None)
    with pytest.raises(BundleError, match="neither OpenVINO nor onnx"):
        bundle_of(case, tmp_path)


def test_a_folder_of_bundles_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    case = Case(model="runs/theirs/", precision="int8", engine="openvino", size_hw=(64, 96))
    assert (case.is_folder, case.name) == (True, "theirs")
    with pytest.raises(BundleError, match="expected a folder of bundles, found none"):
        bundle_of(case, tmp_path)


def test_a_plan_is_built_once_for_all_processes_of_a_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, darkness_bundle: Callable
) -> None:
    """The mask with a filled cache is that of a robot, whose plan was built before."""
    built: list[Path] = []
    opened: list[Path] = []

    def compile_graphs(folder: Path, graphs: list[Path], engine: str, **_: object) -> None:
        built.append(folder)
        (folder / COMPILED).write_text("{}")

    def open_backend(engine: str, graph: Path, *, cache: Path, **_: object) -> FakeBackend:
        opened.append(cache)
        return FakeBackend((64, 96))

    monkeypatch.setattr(subject, "compile_graphs", compile_graphs)
    monkeypatch.setattr(subject, "open_backend", open_backend)
    bundle = darkness_bundle((64, 96))
    case = Case(model=f"{bundle}/", precision="fp32", engine="tensorrt", size_hw=(64, 96))
    for _ in ("cold", "warm"):
        BenchmarkSubject(case, bundle, None, tmp_path / "cache")
    assert built == [tmp_path / "cache/fused"]
    assert opened == built * 2
