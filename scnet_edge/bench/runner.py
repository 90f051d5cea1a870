"""A suite, run: each case in its own process, all cases of one model in turns."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import msgspec

from scnet_edge.bench.bundles import bundle_of
from scnet_edge.bench.environment import environment
from scnet_edge.bench.group import Report, failed, measure_group
from scnet_edge.bench.rows import rows_of
from scnet_edge.bench.schema import (
    SCHEMA,
    Case,
    Environment,
    Failure,
    Limits,
    Result,
    Row,
    read_result,
    write_result,
)
from scnet_edge.bench.suite import Suite, suite_sha256
from scnet_edge.bench.worker import scored_samples
from scnet_edge.data.classes import check_classes
from scnet_edge.errors import ConfigError, ScnetEdgeError
from scnet_edge.folders import check_file


def run_suite(
    suite: Suite,
    name: str,
    out: Path,
    *,
    data: str | None,
    command: str,
    overwrite: bool = False,
    report: Report = lambda step: None,
) -> Result:
    """Measure what a suite says, leaving the result so far in `out` after each group of cases.

    A run that was cut short goes on where it stopped when it is started again. A case that
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
        ConfigError: `out` holds a finished result, or one of another suite or machine.
    """
    here = environment()
    result = _begun(out, suite, name, here, command, overwrite)
    if result.complete:
        raise ConfigError(f"{out}: measured already; name another file or pass --overwrite")
    data, why_no_f1 = _usable(data, suite.images, report)
    work = out.with_name(f".{out.name}.work")
    if suite.limits and result.limits is None:
        report("limits of this machine")
        result = msgspec.structs.replace(result, limits=_limits(suite, report))
        write_result(out, result)
    for group in suite.cases():
        done = {case.case_key for case in (*result.rows, *result.failures)}
        if any(case.case_key not in done for case in group):
            rows, failures = _run_group(group, suite, work, data, result.limits, report, why_no_f1)
            result = msgspec.structs.replace(
                result, rows=(*result.rows, *rows), failures=(*result.failures, *failures)
            )
            write_result(out, result)
    result = msgspec.structs.replace(result, complete=True)
    write_result(out, result)
    shutil.rmtree(work, ignore_errors=True)
    return result


def _begun(
    out: Path, suite: Suite, name: str, here: Environment, command: str, overwrite: bool
) -> Result:
    """Return the result that `out` holds so far, or a new one without rows."""
    new = Result(
        schema=SCHEMA,
        environment=here,
        rows=(),
        suite=name,
        suite_sha256=suite_sha256(suite),
        command=command,
        complete=False,
    )
    check_file(out)
    if not out.exists() or overwrite:
        return new
    old = read_result(out)
    for what, ours, theirs in (
        ("suite", new.suite_sha256, old.suite_sha256),
        ("machine", here.identity, old.environment.identity),
        (
            "version",
            (here.packages, here.commit),
            (old.environment.packages, old.environment.commit),
        ),
    ):
        if ours != theirs:
            raise ConfigError(
                f"{out}: was begun with another {what}; name another file or pass --overwrite"
            )
    return old


def _usable(data: str | None, images: int, report: Report) -> tuple[str | None, str]:
    """Return the data set, or None with the reason: speed is measured without one, too."""
    if data is None:
        return None, "no --data was given"
    try:
        masks = [sample.read_mask() for sample in scored_samples(data, images)]
        check_classes(sum(int(m.sum()) for m in masks), sum(m.size for m in masks), len(masks))
    except ScnetEdgeError as e:
        report(f"no F1: {e}")
        return None, str(e)
    return data, "not scored"


def _limits(suite: Suite, report: Report) -> Limits | None:
    if find_spec("openvino") is None:
        report("no limits: OpenVINO, which measures them, is not installed here")
        return None
    from scnet_edge.bench.limits import measure_limits

    return measure_limits(suite.threads)


def _run_group(
    cases: list[Case],
    suite: Suite,
    work: Path,
    data: str | None,
    limits: Limits | None,
    report: Report,
    why_no_f1: str,
) -> tuple[list[Row], list[Failure]]:
    """Return the rows and failures of one group, whose bundles are built first."""
    ready, failures = [], []
    for case in cases:
        report(f"{case.name} {case.label}: bundle")
        try:
            ready.append((case, bundle_of(case, work / "bundles")))
        except ScnetEdgeError as e:
            failures.append(failed(case, e))
    if not ready:
        return [], failures
    measured, more = measure_group(ready, suite, work / "cache", data, report)
    rows = rows_of(measured, limits, threads=suite.threads, why_no_f1=why_no_f1)
    return rows, [*failures, *more]
