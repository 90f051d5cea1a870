"""What the page and the Markdown say of results that nobody measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from scnet_edge.bench.figures import document as markdown
from scnet_edge.bench.figures import machine_names
from scnet_edge.bench.report import contents
from scnet_edge.bench.report_tables import parts
from scnet_edge.bench.schema import (
    BenchmarkResult,
    BenchmarkRow,
    EngineProfile,
    Failure,
    LatencyMs,
    MachineLimits,
    Rate,
    Scope,
    Share,
)

H100 = "NVIDIA H100 80GB HBM3"


def hashed(row: BenchmarkRow, digest: str) -> BenchmarkRow:
    return msgspec.structs.replace(row, sha256={"fused.onnx": digest})


def elsewhere(result: BenchmarkResult, **changed: object) -> BenchmarkResult:
    environment = msgspec.structs.replace(result.environment, **changed)
    return msgspec.structs.replace(result, environment=environment)


def said(*results: BenchmarkResult) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(contents(results))
    return made


def test_f1_of_other_images_have_a_plot_and_a_front_of_their_own(
    row: Callable, result: Callable
) -> None:
    other = elsewhere(result(row(images=24, f1=0.9)), cpu="Other CPU")
    page = said(result(row()), other)
    assert page["panels"] == [
        "F1 on 237 images of deepcrack test: 2-core Some",
        "F1 on 24 images of deepcrack test: 2-core Other",
    ]
    assert [point["panel"] for point in page["points"]] == [0, 1]
    assert any("cannot be compared" in text for text in page["reading"])


def test_f1_of_the_same_images_share_a_plot_unless_the_weights_differ(
    row: Callable, result: Callable
) -> None:
    def panels(mine: BenchmarkRow, theirs: BenchmarkRow) -> list[str]:
        made: list[str] = said(result(mine), elsewhere(result(theirs), cpu="Other CPU"))["panels"]
        return made

    together = ["F1 on 237 images of deepcrack test: 2-core Some, 2-core Other"]
    fp32 = row(precision="fp32")
    assert panels(row(), row()) == together
    assert panels(row(), row(f1=0.805)) == together  # INT8, which processors round differently
    assert panels(hashed(row(), "a"), hashed(row(), "a")) == together
    assert panels(hashed(row(), "a"), row()) == together  # the other does not say
    apart = panels(hashed(row(), "a"), hashed(row(), "b"))
    assert apart[1] == "F1 on 237 images of deepcrack test, other weights than above: 2-core Other"
    assert len(panels(fp32, row(precision="fp32", f1=0.87))) == 2  # told by FP32's F1


def test_no_two_machines_have_one_name(row: Callable, result: Callable) -> None:
    cuda, cpu = row(device="onnxruntime CUDA"), row(device="openvino CPU")
    card = elsewhere(result(cuda, cpu), gpu=H100, cpu="Intel(R) Xeon(R) Processor", cores=16)
    assert machine_names([card]) == {(0, True): "H100", (0, False): "16-core Intel Xeon"}
    wide = elsewhere(result(cuda), gpu="NVIDIA A100-SXM4 80GB")
    narrow = elsewhere(result(cuda), gpu="NVIDIA A100-SXM4 40GB")
    assert list(machine_names([wide, narrow]).values()) == [
        "NVIDIA A100-SXM4 80GB",
        "NVIDIA A100-SXM4 40GB",
    ]
    later = elsewhere(result(row()), started="2026-01-02T00:00:00+00:00")
    dated = machine_names([result(row()), later])
    assert list(dated.values()) == ["2-core Some, 2026-01-01", "2-core Some, 2026-01-02"]
    twice = machine_names([result(row()), result(row())])
    assert len(set(twice.values())) == 2


def test_limits_are_the_processors(row: Callable, result: Callable) -> None:
    """They are measured by OpenVINO, beside whatever card."""
    rate = Rate(arithmetic="fp32", channels=(64, 64), size_hw=(384, 544), gops=430.0)
    limits = MachineLimits(rates=(rate,), bandwidth_gb_s=20.0)
    card = elsewhere(result(row(device="onnxruntime CUDA")), gpu=H100, cpu="Intel(R) Xeon(R)")
    (shown,) = said(msgspec.structs.replace(card, limits=limits))["limits"]
    assert "Intel Xeon" in str(shown)
    assert "H100" not in str(shown)


def test_a_percentile_is_told_of_enough_frames_only(row: Callable, result: Callable) -> None:
    for frames, cell in (
        (100, "33.0 / 35.0 / 40.0"),
        (99, "33.0 / 35.0 / -"),
        (19, "33.0 / - / -"),
    ):
        made = result(row(frames=frames))
        (line,) = said(made)["every"]["groups"][0]["lines"]
        (told,) = [c[1] for c in line["cells"] if c[0] == cell]
        assert f"of {frames} frames" in told
        assert f"| {cell} |" in markdown([made])
        assert ("p99 of 100" in told) == ("p99 of 100" in markdown([made])) == (frames < 100)
    assert not any("p99" in line for line in said(result(row(frames=99)))["points"][0]["tip"])


def test_the_slowest_and_the_fastest_round_stand_beside_the_median(
    row: Callable, result: Callable
) -> None:
    made = result(row(round_fps=(20.0, 30.0, 41.5)))
    page = said(made)
    assert "20.0 to 41.5" in page["every"]["groups"][0]["lines"][0]["cells"]
    assert "3 rounds, 20.0 to 41.5 FPS" in page["points"][0]["tip"]
    assert page["points"][0]["rounds"] == (20.0, 41.5)
    assert "| 20.0 to 41.5 |" in markdown([made])


def test_what_has_no_f1_says_why_it_is_not_on_the_plot(row: Callable, result: Callable) -> None:
    rested = row(
        schedule="hed/4", f1=None, f1_ci95=None, images=0, data=None, not_measured={"f1": "moving"}
    )
    points = said(result(row(), rested))["points"]
    assert [(p["panel"], p["why"]) for p in points] == [(0, ""), (None, "moving")]


def test_a_line_is_named_by_size_and_machine_where_there_are_several(
    row: Callable, result: Callable
) -> None:
    (alone,) = said(result(row()))["cases"]
    assert (alone["name"], alone["series"]) == ("net", "net on 2-core Some")
    small = elsewhere(result(row(size_hw=(192, 272))), cpu="Other CPU")
    named = [(case["name"], case["series"]) for case in said(result(row()), small)["cases"]]
    assert named == [
        ("net 384x544", "net 384x544 on 2-core Some"),
        ("net 192x272", "net 192x272 on 2-core Other"),
    ]


def test_a_run_that_measured_nothing_has_a_page(result: Callable) -> None:
    page = said(result())
    assert (page["cases"], page["panels"], page["points"]) == ([], [], [])


def test_modes_are_told_apart_and_explained(row: Callable, result: Callable) -> None:
    page = said(result(row(), row(mode="bf16-rest"), row(engine="torch", mode="eager")))
    assert [case["mode"] for case in page["cases"]] == ["plain", "bf16-rest", "plain"]
    assert "bf16-rest: where INT8 leaves a layer in floating point" in "".join(page["reading"])


def test_the_parts_of_a_frame_add_up_to_its_time(limited: BenchmarkRow) -> None:
    """The limit takes 4 of 10 ms; counters say 6 for convolutions, 3 for copies, 1 for others."""
    assert parts(limited) == [
        ("the convolutions at the limit", 4.0),
        ("convolutions slower than that", 2.0),
        ("moving data", 3.0),
        ("other layers", 1.0),
    ]


def test_the_limit_is_explained_in_words(limited: BenchmarkRow, result: Callable) -> None:
    (share,) = said(result(limited))["shares"]
    assert share["percent"] == "40 %"
    assert share["parts"][1][2] == "convolutions slower than that 2.00 ms (20 %)"
    assert share["layers"] == [["first, Convolution", "2.00", "20 %", "500", "12 %"]]


@pytest.fixture
def limited(row: Callable) -> BenchmarkRow:
    kinds = {"Convolution brgconv_avx512_I8": 6.0, "Concat ref_f32": 3.0, "Odd ref": 1.0}
    worst = {"name": "first", "kind": "Convolution", "ms": 2.0, "gflop": 1.0}
    profile = {"total_ms": 10.0, "by_kind_ms": kinds, "worst": [worst]}
    scope: Scope = "engine"
    made: BenchmarkRow = row(
        scope=scope,
        latency_ms=LatencyMs(p50=10.0, p95=11.0, p99=12.0),
        limit=Share(arithmetic="int8", limit_gops=4000.0, share=0.4),
        profile=msgspec.convert(profile, EngineProfile),
    )
    return made


def test_markdown_says_what_was_not_measured(row: Callable, result: Callable) -> None:
    failures = tuple(
        Failure(model="a/b", precision=p, engine="openvino", size_hw=(384, 544), error="not there")
        for p in ("fp32", "int8")
    )
    made = msgspec.structs.replace(result(row(fps=0.525)), failures=failures)
    text = markdown([made])
    assert "Not measured: b openvino fp32, openvino int8: not there." in text
    assert "| 0.53 |" in text
    assert "F1 on 237 images of deepcrack test: `scnet-edge bench`" in text
    (group,) = said(made)["failures"]["groups"]
    assert group["lines"][0]["cells"] == ["b", "openvino fp32, openvino int8", "not there"]
