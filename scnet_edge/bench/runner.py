"""A suite, run: each case in its own process, the cases of a group in turns."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import msgspec

from scnet_edge.bench.bundles import make_ready
from scnet_edge.bench.environment import environment
from scnet_edge.bench.group import Report, failure_of, measure_group
from scnet_edge.bench.rows import rows_of
from scnet_edge.bench.schema import (
    SCHEMA,
    BenchmarkResult,
    BenchmarkRow,
    Case,
    Environment,
    Failure,
    MachineLimits,
    read_result,
    write_result,
)
from scnet_edge.bench.scoring import Scored, identify_images
from scnet_edge.bench.suite import Suite, suite_sha256
from scnet_edge.errors import ConfigError, ScnetEdgeError, one_line
from scnet_edge.folders import check_file

BUSY = 0.3  # runnable processes of others, per core, above which figures are not those of rest


def run_suite(
    suite: Suite,
    name: str,
    out: Path,
    *,
    data: str | None,
    command: str,
    overwrite: bool = False,
    report: Report = lambda step: None,
) -> BenchmarkResult:
    """Measure what a suite says, leaving the result so far in `out` after each group of cases.

    A run that was cut short goes on when it is started again, with the group that it was at, whose
    cases are all tried once more; groups that are in `out`, with their failures, stay. A case that
    cannot be measured becomes a `Failure`; the others go on.

    Args:
        suite: What to measure.
        name: What to call it.
        out: The result file; beside it a folder with bundles and caches stays until the end.
        data: Annotated images, `NAME:DIR`; None leaves F1 unmeasured.
        command: What reproduces this, for the record.
        overwrite: Start anew over an older result.
        report: Told each step as it begins.

    Raises:
        ConfigError: `out` holds a finished result, or one of another suite, machine or data set.
    """
    here = environment()
    images, why_no_f1 = _usable(data, suite, report)
    result = _begin(out, suite, name, here, images, command, overwrite)
    if here.load_before > BUSY * here.cores:
        report(
            f"load {here.load_before} on {here.cores} cores, expected at most "
            f"{BUSY * here.cores:.1f}: end other programs, or read `others_cpu` beside each figure"
        )
    work = out.with_name(f".{out.name}.work")
    if suite.limits and result.limits is None:
        report("limits of this machine")
        result = msgspec.structs.replace(result, limits=_limits(suite, report))
        write_result(out, result)
    for group in suite.cases():
        done = {case.case_key for case in (*result.rows, *result.failures)}
        if any(case.case_key not in done for case in group):
            rows, failures = _run_group(
                group, suite, work, data if images else None, result.limits, report, why_no_f1
            )
            result = msgspec.structs.replace(
                result, rows=(*result.rows, *rows), failures=(*result.failures, *failures)
            )
            write_result(out, result)
    result = msgspec.structs.replace(result, complete=True)
    write_result(out, result)
    shutil.rmtree(work, ignore_errors=True)
    return result


def _begin(
    out: Path,
    suite: Suite,
    name: str,
    here: Environment,
    images: Scored | None,
    command: str,
    overwrite: bool,
) -> BenchmarkResult:
    """Return the result that `out` holds so far, or a new one without rows."""
    new = BenchmarkResult(
        schema=SCHEMA,
        environment=here,
        rows=(),
        suite=name,
        suite_sha256=suite_sha256(suite),
        command=command,
        complete=False,
        asked=msgspec.to_builtins(suite),
        scored=images,
    )
    check_file(out)
    if not out.exists() or overwrite:
        return new
    old = read_result(out)
    if old.complete:
        raise ConfigError(f"{out}: measured already; name another file or pass --overwrite")
    was, now = old.environment, here
    for what, ours, theirs in (
        ("suite", new.suite_sha256, old.suite_sha256),
        ("machine", now.identity, was.identity),
        ("version", (now.packages, now.commit), (was.packages, was.commit)),
    ):
        if ours != theirs:
            raise ConfigError(
                f"{out}: was begun with another {what}; name another file or pass --overwrite"
            )
    if old.scored != images:
        raise ConfigError(
            f"{out}: was begun with {_images_text(old.scored)}, found {_images_text(images)}; "
            "give the same --data, name another file or pass --overwrite"
        )
    return old


def _images_text(images: Scored | None) -> str:
    if images is None:
        return "no annotated images"
    return f"{images.images} images of {images.data} ({images.sha256[:12]})"


def _usable(data: str | None, suite: Suite, report: Report) -> tuple[Scored | None, str]:
    """Return what is scored, or None with the reason: speed is measured without it, too."""
    if data is None:
        return None, "no --data was given"
    try:
        return identify_images(data, suite.images), "not scored"
    except ScnetEdgeError as e:
        report(f"no F1: {e}")
        return None, str(e)


def _limits(suite: Suite, report: Report) -> MachineLimits | None:
    if find_spec("openvino") is None:
        report("no limits: OpenVINO, which measures them, is not installed here")
        return None
    from scnet_edge.bench.limits import measure_limits

    try:
        return measure_limits(suite.threads)
    except (
        RuntimeError,
        MemoryError,
    ) as e:  # what OpenVINO raises, and a gigabyte that is not free
        report(f"no limits: {type(e).__name__}: {one_line(e)}")
        return None


def _run_group(
    cases: list[Case],
    suite: Suite,
    work: Path,
    data: str | None,
    limits: MachineLimits | None,
    report: Report,
    why_no_f1: str,
) -> tuple[list[BenchmarkRow], list[Failure]]:
    """Return the rows and failures of one group, whose bundles are built first."""
    ready, failures = [], []
    for case in cases:
        report(f"{case.name} {case.label}: bundle")
        try:
            ready.append(make_ready(case, work / "bundles"))
        except ScnetEdgeError as e:
            failures.append(failure_of(case, e))
    if not ready:
        return [], failures
    measured, more = measure_group(ready, suite, work / "cache", data, report)
    return rows_of(measured, suite, limits, why_no_f1=why_no_f1), [*failures, *more]
