"""What several tests need: a clean process to run code or the command line in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAIN = "from scnet_edge.cli import main; main()"


@pytest.fixture
def root() -> Path:
    """Return the source checkout."""
    return ROOT


@pytest.fixture
def python() -> Callable[[str, list[str]], subprocess.CompletedProcess[str]]:
    """Return a function that runs code with arguments in a fresh interpreter, in the checkout."""

    def run(code: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)

    return run


@pytest.fixture
def command_line(
    python: Callable[[str, list[str]], subprocess.CompletedProcess[str]],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs `scnet-edge ARGUMENTS` in a fresh interpreter."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return python(MAIN, list(arguments))

    return run
