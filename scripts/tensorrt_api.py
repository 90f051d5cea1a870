"""Write down what the Python bindings of each TensorRT offer, for tests/engines/test_trt_api.py.

    python -m scripts.tensorrt_api

The wheels of the bindings are small and need no GPU, but they load TensorRT's libraries, gigabytes
that only NVIDIA serves. Empty libraries that have the names stand in for them: the bindings import,
and pybind11 states every class, member and signature. Needs `pip`, `cc`,
`nm` and `readelf`.
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

OUT = Path("tests/engines/tensorrt_api")
# JetPack 6.0 has 8.6, JetPack 6.1 and 6.2 have 10.3, JetPack 7 has 10.13; then the newest.
WHEELS = {
    "8.6.1": "tensorrt-bindings==8.6.1",
    "10.3.0": "tensorrt-cu12-bindings==10.3.0",
    "10.13.0": "tensorrt-cu12-bindings==10.13.0.35",
    "11.4.0": "tensorrt-cu13-bindings==11.4.0.106",
}
PYTHON = "3.11"  # newer ones have no wheel of 8.6
# Those that the package uses.
CLASSES = (
    *("Builder", "BuilderFlag", "DataType", "EngineInspector", "IBuilderConfig", "ICudaEngine"),
    *("IExecutionContext", "IHostMemory", "ILayer", "ILogger", "INetworkDefinition"),
    *("IProgressMonitor", "ITensor", "ITimingCache", "LayerInformationFormat", "LayerType"),
    *("MemoryPoolType", "NetworkDefinitionCreationFlag", "OnnxParser", "ParserError"),
    *("ProfilingVerbosity", "Runtime", "TensorIOMode"),
)
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser", "nvparsers")
OURS = re.compile(r"^\s+U (create|get|init|_ZN)\w+$", re.MULTILINE)  # TensorRT's own symbols
SIGNATURE = re.compile(r"^(?:\d+\. )?\w+\((.*)\)(?: -> .*)?$", re.MULTILINE)


def main() -> None:
    """Fetch, import and describe each."""
    if len(sys.argv) > 1:  # the child: one version, in a process of its own
        json.dump(describe(import_file(Path(sys.argv[1]))), sys.stdout)
        return
    if f"{sys.version_info.major}.{sys.version_info.minor}" != PYTHON:
        raise SystemExit(f"expected Python {PYTHON}, for which every wheel is there")
    for version, wheel in WHEELS.items():
        with tempfile.TemporaryDirectory() as folder:
            module = fetch(wheel, Path(folder))
            make_libraries(module, Path(folder))
            said = subprocess.run(
                [sys.executable, "-m", "scripts.tensorrt_api", str(module)],
                env={"LD_LIBRARY_PATH": folder, "PATH": "/usr/bin:/bin"},
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        path = OUT / f"{version}.json"
        path.write_text(compact(json.loads(said)))
        print(path)


def compact(api: dict[str, Any]) -> str:
    """Return JSON with a member a line."""
    classes = []
    for name, members in sorted(api.items()):
        if isinstance(members, list):
            classes.append(f"{json.dumps(name)}: {json.dumps(members)}")
        else:
            lines = [f"  {json.dumps(n)}: {json.dumps(v)}" for n, v in sorted(members.items())]
            classes.append(f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(classes) + "\n}\n"


def fetch(wheel: str, folder: Path) -> Path:
    """Return the extension module of a wheel."""
    command = ["pip", "download", "--quiet", "--no-deps", "--dest", str(folder), wheel]
    subprocess.run([sys.executable, "-m", *command], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        archive.extract("tensorrt_bindings/tensorrt.so", folder)
    return folder / "tensorrt_bindings/tensorrt.so"


def make_libraries(module: Path, folder: Path) -> None:
    """Make the libraries that a module asks for, of functions that return nothing."""
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", str(module)], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    names = [line.split()[-1] for line in (m[0] for m in OURS.finditer(symbols))]
    (folder / "empty.c").write_text("".join(f"void *{n}(void) {{ return 0; }}\n" for n in names))
    needed = subprocess.run(
        ["readelf", "-d", str(module)], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    for library in re.findall(rf"\[(lib(?:{'|'.join(LIBRARIES)})\.so\.\d+)\]", needed):
        linked = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{library}", str(folder / "empty.c")]
        subprocess.run([*linked, "-o", str(folder / library)], check=True)


def import_file(module: Path) -> Any:
    """Return the module `tensorrt` of an extension file."""
    spec = spec_from_file_location("tensorrt", module)
    assert spec is not None
    assert spec.loader is not None
    tensorrt = module_from_spec(spec)
    spec.loader.exec_module(tensorrt)
    return tensorrt


def describe(module: Any) -> dict[str, Any]:
    """Return `CLASSES` of a module with their members, and its functions under `tensorrt`.

    A method is the list of its signatures, each a list of parameters, `*` behind those with a
    default. A property is `read` or `write`. An enumeration is the list of its names.
    """
    functions = {n: signatures(v) for n, v in vars(module).items() if inspect.isbuiltin(v)}
    values = {
        n: "read" for n, v in vars(module).items() if not callable(v) and not n.startswith("_")
    }
    classes = {n: members_of(getattr(module, n)) for n in CLASSES if hasattr(module, n)}
    return {"tensorrt": functions | values} | classes


def members_of(cls: type) -> Any:
    """Return what a class offers."""
    if hasattr(cls, "__members__"):
        return sorted(cls.__members__)
    found: dict[str, Any] = {}
    for name in dir(cls):
        value = inspect.getattr_static(cls, name)
        if isinstance(value, property):
            found[name] = "write" if value.fset is not None else "read"
        elif (name == "__init__" or not name.startswith("_")) and callable(getattr(cls, name)):
            found[name] = signatures(getattr(cls, name))
    return found


def signatures(function: Any) -> list[list[str]]:
    """Return the parameters of each overload of a function, `self` left out."""
    found = [parameters(m[1]) for m in SIGNATURE.finditer(function.__doc__ or "")]
    return [names for names in found if "*args" not in names]  # the head of several overloads


def parameters(text: str) -> list[str]:
    """Return the names of `self: Any, index: int, name: str = 'x'`: `index`, `name*`."""
    outside = re.sub(r"\[[^\[\]]*\]", "", re.sub(r"\[[^\[\]]*\]", "", text))
    outside = re.sub(r"<[^<>]*>|'[^']*'", "", outside)
    parts = [part.strip() for part in outside.split(",") if part.strip()]
    return [
        part.split(":")[0] + ("*" if "=" in part else "")
        for part in parts
        if part.split(":")[0] != "self"
    ]


if __name__ == "__main__":
    main()
