"""Rows and results that nobody measured, for what only reads them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scnet_edge.bench.schema import SCHEMA, BenchmarkResult, BenchmarkRow, Environment, LatencyMs

ENVIRONMENT = Environment(
    machine="x86_64",
    cpu="Some CPU",
    cpu_flags=("avx512_vnni",),
    cores=2,
    gpu=None,
    compute_capability=None,
    cuda=None,
    jetpack=None,
    memory_gb=8.0,
    system="Linux",
    python="3.11",
    packages={},
    commit="abc",
    power_mode=None,
    sensors={"power": False},
    load_before=0.1,
    started="2026-01-01T00:00:00+00:00",
)


@pytest.fixture
def row() -> Callable[..., BenchmarkRow]:
    """Return what makes a row; anything may be given another value."""

    def make(**given: object) -> BenchmarkRow:
        values: dict[str, object] = {
            "model": "net",
            "precision": "int8",
            "engine": "openvino",
            "size_hw": (384, 544),
            "scope": "camera_to_mask",
            "fps": 30.0,
            "latency_ms": LatencyMs(p50=33.0, p95=35.0, p99=40.0),
            "f1": 0.81,
            "f1_ci95": (0.78, 0.84),
            "images": 237,
            "data": "deepcrack test",
            "rss_mb": 240.0,
            "file_mb": 10.0,
            "device": "openvino CPU",
            "threads": None,
            "gflop": 17.0,
            "frames": 100,
            "round_fps": (30.0, 30.2, 29.8, 30.1),
            "stages_ms": {"engine": 32.0},
            "first_mask_ms": {"cold": 1500.0, "warm": 800.0},
            "speedup": {},
            "limit": None,
            "profile": None,
            "joules": None,
            "temperature_c": None,
            "clocks_mhz": None,
            "power_mode": None,
            "not_measured": {},
        }
        return BenchmarkRow(**(values | given))

    return make


@pytest.fixture
def result() -> Callable[..., BenchmarkResult]:
    """Return what makes a result of rows."""

    def make(*rows: BenchmarkRow, environment: Environment = ENVIRONMENT) -> BenchmarkResult:
        return BenchmarkResult(
            schema=SCHEMA,
            environment=environment,
            rows=rows,
            suite="some",
            suite_sha256="0",
            command="scnet-edge bench",
            complete=True,
        )

    return make
