"""On the robot: whether BF16 pays beside INT8 on this CPU, and INT8 beside FP16 on this GPU.

That is the machine's to say: one CPU gains by half the bytes, another loses more by the
conversions; some GPUs have no INT8 convolutions, others write FP32 after them. So both are run
here, in turns, and each must hold the golden frames.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec

from scnet_edge.bundle.compile import Tried, compile_slot, open_code, opened, try_slot
from scnet_edge.bundle.device import graph_for
from scnet_edge.bundle.manifest import FUSED, GOLDEN, Manifest
from scnet_edge.bundle.verify import Golden, read_golden, require_parts
from scnet_edge.engines.base import Backend
from scnet_edge.engines.compiled import Arithmetic, FallbackPrecision, PrecisionChoice
from scnet_edge.engines.isolated.worker import Opening
from scnet_edge.engines.tensorrt.build_progress import Progress
from scnet_edge.engines.timing import quickest_ms
from scnet_edge.errors import BuildCancelled, BundleError, EngineError, GraphError

WORTH = 0.97  # of the time: less of a gain is noise


def choose_rest(
    bundle: Path, manifest: Manifest, engine: str, threads: int | None
) -> FallbackPrecision | None:
    """Return what computes the rest of an INT8 graph quickest here; None where there is no choice.

    Raises:
        EngineError: the engine cannot open the graph.
    """
    if engine != "openvino" or manifest.precision != "int8":
        return None
    from scnet_edge.engines.openvino import cpu as openvino_cpu

    if not openvino_cpu.has_bf16():
        return None
    golden = read_golden(bundle / GOLDEN, batch=manifest.input.batch)

    def open_part(part: str, arithmetic: Arithmetic) -> Backend:
        graph = graph_for(bundle, manifest, engine, part)
        return opened(
            Opening(engine=engine, graph=str(graph), threads=threads, arithmetic=arithmetic)
        )

    with closing(open_part(FUSED, "bf16")) as bf16:
        try:
            require_parts(bf16, lambda part: open_part(part, "bf16"), manifest, golden)
        except BundleError:
            return FallbackPrecision(arithmetic="fp32", bf16_time=None)
        with closing(open_part(FUSED, "fp32")) as fp32:
            ratio = time_ratio(bf16, fp32, golden)
    return FallbackPrecision(
        arithmetic="bf16" if ratio < WORTH else "fp32", bf16_time=round(ratio, 3)
    )


def choose_precision(
    bundle: Path,
    manifest: Manifest,
    int8: Tried,
    graphs: Sequence[Path],
    *,
    threads: int | None,
    progress: Callable[[Progress], bool] | None,
) -> Tried:
    """Return what runs an INT8 bundle quickest here, in the folder where INT8 was compiled.

    Args:
        bundle: A bundle that carries FP16 beside INT8.
        manifest: What it says of itself.
        int8: What was compiled and tried in INT8.
        graphs: Those of FP16.
        threads: CPU threads for the build and for the engine.
        progress: Told how far TensorRT's builder is; False cancels.

    Raises:
        BuildCancelled: a person stopped it. That FP16 cannot be compiled or fails its trial is no
            error: INT8 stays, and the slot says why.
    """
    engine, beside = int8.slot.engine, int8.folder.with_name(f"{int8.folder.name}.fp16")
    shutil.rmtree(beside, ignore_errors=True)  # a build that was killed here may have left one
    beside.mkdir()
    try:
        try:
            slot, plans = compile_slot(
                beside, graphs, engine, threads=threads, measured=int8.folder, progress=progress
            )
            parity, open_s = try_slot(bundle, manifest, beside, slot, threads)
            with (
                closing(open_code(bundle, manifest, int8.folder, engine, threads=threads)) as a,
                closing(open_code(bundle, manifest, beside, engine, threads=threads)) as b,
            ):
                ratio = time_ratio(a, b, read_golden(bundle / GOLDEN, batch=manifest.input.batch))
        except BuildCancelled:
            raise
        except (BundleError, EngineError, GraphError) as e:
            return _chosen(int8, PrecisionChoice(precision="int8", int8_time=None, refused=str(e)))
        if ratio < WORTH:
            return _chosen(int8, PrecisionChoice(precision="int8", int8_time=round(ratio, 3)))
        shutil.rmtree(int8.folder)
        beside.rename(int8.folder)
        fp16 = Tried(folder=int8.folder, slot=slot, plans=plans, parity=parity, open_s=open_s)
        return _chosen(fp16, PrecisionChoice(precision="fp16", int8_time=round(ratio, 3)))
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _chosen(tried: Tried, choice: PrecisionChoice) -> Tried:
    return replace(tried, slot=msgspec.structs.replace(tried.slot, choice=choice))


def time_ratio(one: Backend, other: Backend, golden: Golden) -> float:
    """Return the time of one backend over that of another."""
    ms, other_ms = quickest_ms(one, other, golden.feeds())
    return ms / other_ms
