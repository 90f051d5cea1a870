"""Every call to TensorRT, against what the bindings of 8.6, 10.3, 10.13 and 11.4 say they take.

`scripts/tensorrt_api.py` writes the JSON files from the real bindings. A build by TensorRT-RTX is
watched here call by call; what only a full TensorRT or a GPU would be asked is stood in for.
"""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import onnx
import pytest
from onnx import TensorProto, helper
from test_trt import Context, Engine

from scnet_edge.engines.tensorrt import builder, library, network
from scnet_edge.engines.tensorrt.build_progress import progress_monitor
from scnet_edge.engines.tensorrt.builder import BuildSettings, build_plan
from scnet_edge.engines.tensorrt.library import (
    DTYPES,
    Capabilities,
    capabilities,
    engine_log,
    tensorrt,
)
from scnet_edge.errors import GraphError

APIS = {p.stem: json.loads(p.read_text()) for p in Path(__file__).parent.glob("tensorrt_api/*")}
WEAK = {"8.6.1"}
# What RTX alone has: a build for a GPU that is not there.
RTX_ONLY = {"set_compute_capability", "num_compute_capabilities", "ComputeCapability"}


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a member: read, set, or called with so many arguments."""

    cls: str
    member: str
    how: Literal["read", "set", "call"]
    arguments: int = 0


# What the package asks for only where `capabilities` found it.
ONLY_FROM_10 = {
    Use("NetworkDefinitionCreationFlag", "STRONGLY_TYPED", "read"),
    Use("IBuilderConfig", "progress_monitor", "set"),
}


def complaint(use: Use, api: dict[str, Any]) -> str | None:
    """Return what an API says against a use; None where it allows it."""
    members = api.get(use.cls)
    if members is None or use.member not in members:
        return f"{use.cls} has no {use.member}"
    if isinstance(members, list):  # an enumeration
        return None if use.how == "read" else f"{use.cls}.{use.member} is a constant"
    offered = members[use.member]
    if use.how != "call":
        fits = offered == "write" if use.how == "set" else isinstance(offered, str)
        return None if fits else f"{use.cls}.{use.member} cannot be {use.how}"
    if isinstance(offered, str) or not any(takes(names, use.arguments) for names in offered):
        return f"{use.cls}.{use.member} takes {offered}, not {use.arguments} arguments"
    return None


def takes(parameters: list[str], arguments: int) -> bool:
    needed = [name for name in parameters if not name.endswith("*")]
    return len(needed) <= arguments <= len(parameters)


@dataclass
class Watched:
    """TensorRT or an object of it, which notes how it is used; so does what it returns."""

    real: Any
    uses: set[Use] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.real, name)
        if name in MADE:
            return self._call(name, "__init__", value)
        if inspect.isroutine(value):
            return self._call(class_of(self.real), name, value)
        if name not in KNOWN:
            self.uses.add(Use(class_of(self.real), name, "read"))
        return self._watch(value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("real", "uses"):
            super().__setattr__(name, value)
        else:
            self.uses.add(Use(class_of(self.real), name, "set"))
            setattr(self.real, name, bare(value))

    def _call(self, cls: str, member: str, function: Any) -> Callable[..., Any]:
        def called(*given: Any) -> Any:
            self.uses.add(Use(cls, member, "call", len(given)))
            return self._watch(function(*map(bare, given)))

        return called

    def _watch(self, value: Any) -> Any:
        of_ours = value if inspect.isclass(value) else type(value)
        enumerated = hasattr(of_ours, "__members__") and not inspect.isclass(value)
        watched = of_ours.__name__ in KNOWN - LEFT and not enumerated
        return Watched(value, self.uses) if watched else value


KNOWN = {name for api in APIS.values() for name in api} - {"tensorrt"}
MADE = {"Builder", "OnnxParser", "Runtime"}  # classes that the package calls
LEFT = {"ILogger", "IProgressMonitor", "IHostMemory"}  # derived from, or read as bytes


def class_of(value: Any) -> str:
    if isinstance(value, ModuleType):
        return "tensorrt"
    return value.__name__ if inspect.isclass(value) else type(value).__name__


def bare(value: Any) -> Any:
    return value.real if isinstance(value, Watched) else value


@pytest.fixture
def uses(monkeypatch: pytest.MonkeyPatch) -> set[Use]:
    """Watch every use that the package makes of the TensorRT of this machine."""
    pytest.importorskip("tensorrt_rtx", exc_type=ImportError)
    watched = Watched(tensorrt())
    for module in (builder, network, library):
        monkeypatch.setattr(module, "tensorrt", lambda: watched)
    return watched.uses


def complaints(uses: Collection[Use], version: str) -> list[str]:
    found = (complaint(use, APIS[version]) for use in uses if use.member not in RTX_ONLY)
    return [said for said in found if said is not None]


def test_a_build_uses_what_every_full_tensorrt_has(
    uses: set[Use], cases: Callable[[str], Any]
) -> None:
    graph = cases("instance").graphs["typed"]
    build_plan(graph, BuildSettings(target="SM86", threads=1, progress=lambda moment: True))
    assert {
        Use("IBuilderConfig", "set_memory_pool_limit", "call", 2),
        Use("Builder", "__init__", "call", 1),
        Use("Builder", "max_threads", "set"),
        Use("LayerType", "CONVOLUTION", "read"),
        Use("ITensor", "dtype", "read"),
    } <= uses
    for version in APIS:
        asked = uses - ONLY_FROM_10 if version in WEAK else uses
        assert complaints(asked, version) == []


def test_a_timing_cache_and_a_refused_graph_are_asked_for_as_documented(
    uses: set[Use], tmp_path: Path
) -> None:
    config = Watched(tensorrt().Builder(engine_log()).create_builder_config(), uses)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # no-ops in RTX
        assert builder._set_timing_cache(config, BuildSettings(timing_cache=b"of before"))
        assert builder._timing_cache(config)
    graph = helper.make_graph(
        [helper.make_node("Bogus", ["x"], ["y"], name="bogus")],
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "g")
    with pytest.raises(GraphError, match="bogus"):
        build_plan(tmp_path / "g", BuildSettings(target="SM86"))
    assert Use("ParserError", "node_operator", "call") in uses
    since_10 = {Use("ParserError", name, "call") for name in ("node_name", "node_operator")}
    for version in APIS:
        asked = uses - ONLY_FROM_10 - since_10 if version in WEAK else uses
        assert complaints(asked, version) == []


@pytest.mark.parametrize("version", sorted(APIS))
@pytest.mark.parametrize(
    ("fake", "real"), [(Engine, "ICudaEngine"), (Context, "IExecutionContext")]
)
def test_what_stands_in_for_the_gpu_answers_as_the_real_one(
    fake: type, real: str, version: str
) -> None:
    for name, value in vars(fake).items():
        if inspect.isfunction(value) and not name.startswith("_"):
            use = Use(real, name, "call", len(inspect.signature(value).parameters) - 1)
            assert complaint(use, APIS[version]) is None
        elif isinstance(value, property):
            assert complaint(Use(real, name, "read"), APIS[version]) is None


@pytest.mark.parametrize("version", sorted(APIS))
def test_what_only_a_gpu_lets_us_ask(version: str) -> None:
    uses = {
        Use("Runtime", "__init__", "call", 1),
        Use("Runtime", "deserialize_cuda_engine", "call", 1),
        Use("ICudaEngine", "create_engine_inspector", "call"),
        Use("EngineInspector", "get_engine_information", "call", 1),
        Use("LayerInformationFormat", "JSON", "read"),
        Use("TensorIOMode", "INPUT", "read"),
        *(Use("DataType", name, "read") for name in DTYPES),
    }
    assert complaints(uses, version) == []


@pytest.mark.parametrize("version", sorted(APIS))
def test_each_version_is_known_for_what_it_can(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = {
        name: SimpleNamespace(**dict.fromkeys(members)) for name, members in APIS[version].items()
    }
    module = SimpleNamespace(**classes, **APIS[version]["tensorrt"])
    monkeypatch.setattr(library, "tensorrt", lambda: module)
    weak = version in WEAK
    assert capabilities.__wrapped__() == Capabilities(
        strong_typing=not weak, ahead_of_time=False, plugins=True, tf32=True, progress=not weak
    )
    assert complaints({Use("tensorrt", "init_libnvinfer_plugins", "call", 2)}, version) == []


@pytest.mark.parametrize("version", sorted(WEAK))
def test_a_weakly_typed_network_is_permitted_by_names_that_exist(version: str) -> None:
    uses = {
        Use("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH", "read"),
        *(
            Use("BuilderFlag", name, "read")
            for name in ("FP16", "INT8", "OBEY_PRECISION_CONSTRAINTS")
        ),
        Use("IBuilderConfig", "set_flag", "call", 1),
        Use("ILayer", "precision", "set"),
    }
    assert complaints(uses, version) == []


@pytest.mark.parametrize("version", sorted(APIS.keys() - WEAK))
def test_what_is_derived_from_overrides_what_is_there(version: str) -> None:
    monitor = progress_monitor(lambda moment: True)
    for base, derived in (("IProgressMonitor", monitor), ("ILogger", engine_log())):
        members = APIS[version][base].items()
        for name, signatures in ((n, s) for n, s in members if n not in ("__init__", "Severity")):
            ours = inspect.signature(getattr(derived, name)).parameters
            assert any(takes(names, len(ours)) for names in signatures), name


def test_a_wrong_use_is_found() -> None:
    api = APIS["11.4.0"]
    assert complaint(Use("IExecutionContext", "execute_async_v2", "call", 2), api)
    assert complaint(Use("IExecutionContext", "execute_async_v3", "call", 2), api)
    assert complaint(Use("ICudaEngine", "num_io_tensors", "set"), api)
    assert complaint(Use("BuilderFlag", "INT8", "read"), api)  # gone in 11
    assert complaint(Use("ICudaEngine", "num_io_tensors", "read"), api) is None
