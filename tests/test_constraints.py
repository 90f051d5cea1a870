"""What a robot or a PC installs: every version pinned, with hashes, and right for the machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scnet_edge import config

ROOT = Path(__file__).parents[1]
MACHINES = {
    "jetpack6": (
        "3.10",
        "aarch64",
        ("cpu", "onnxruntime", "robot", "live", "ros", "signing", "cuda"),
    ),
    "jetpack7": (
        "3.12",
        "aarch64",
        ("cpu", "onnxruntime", "robot", "live", "ros", "signing", "cuda"),
    ),
    "pc": ("3.11", "x86_64", ("cpu", "onnxruntime", "robot", "live", "ros", "signing")),
}
PINNED = re.compile(
    r"^(\S+==\S+)((?: ; [^\\\n]+)?) \\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", re.M
)


def pinned(name: str) -> list[Requirement]:
    """Return the pinned requirements of a file; a line that is none of them fails."""
    text = (ROOT / f"constraints/{name}.txt").read_text(encoding="utf-8")
    found = PINNED.findall(text)
    assert PINNED.sub("", text) == ""
    return [Requirement(pin + marker) for pin, marker, _ in found]


def wanted(extras: tuple[str, ...], environment: dict[str, str]) -> list[Requirement]:
    """Return what pyproject.toml asks for, other extras of ours resolved."""
    project = config.tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    asked = [Requirement(line) for line in lines if not line.startswith("scnet-edge[")]
    return [r for r in asked if r.marker is None or r.marker.evaluate(environment)]


@pytest.mark.parametrize("name", MACHINES)
def test_every_dependency_is_pinned_to_a_version_that_fits(name: str) -> None:
    python, machine, extras = MACHINES[name]
    environment = {
        **default_environment(),
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
    }
    versions = {
        canonicalize_name(r.name): str(r.specifier).removeprefix("==")
        for r in pinned(name)
        if r.marker is None or r.marker.evaluate(environment)
    }
    for asked in wanted(extras, environment):
        version = versions[canonicalize_name(asked.name)]
        assert asked.specifier.contains(version), f"{asked}: pinned to {version}"


def test_the_files_are_those_that_the_script_makes() -> None:
    made = re.findall(r"^\s*lock (\S+)", (ROOT / "scripts/lock").read_text(encoding="utf-8"), re.M)
    assert sorted(made) == sorted(MACHINES)
    assert {path.stem for path in (ROOT / "constraints").glob("*.txt")} == {*MACHINES}


def test_jetpack_6_gets_no_cuda_that_its_driver_cannot_run() -> None:
    (cuda,) = (r for r in pinned("jetpack6") if r.name == "cuda-bindings")
    assert str(cuda.specifier).startswith("==12.")
