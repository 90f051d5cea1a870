"""What segments on a robot: one bundle, or several by schedule; opened from what `Robot` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

from scnet_edge.bundle.device import open_engine
from scnet_edge.bundle.manifest import HED, SCNET, Manifest, at_operating_point, read_manifest
from scnet_edge.engines.base import Backend
from scnet_edge.engines.split import SplitBackend, open_both
from scnet_edge.errors import BundleError, ConfigError
from scnet_edge.events import Event
from scnet_edge.inspection.setup import Setup
from scnet_edge.machine.telemetry import read_sensors
from scnet_edge.robot.robot_toml import Robot
from scnet_edge.runtime.ignore import Ignore
from scnet_edge.runtime.loop import Segment, Skip
from scnet_edge.runtime.pipeline import Pipeline
from scnet_edge.runtime.scale import ModelScale
from scnet_edge.runtime.schedule import Cascade, Degradation, DegradationStep, Rule
from scnet_edge.types import Captured, Frame, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """What the loop is given; `pipeline` is that of the bundle itself."""

    segment: Segment
    skip: Skip
    pipeline: Pipeline


def hottest_c() -> float | None:
    """Return the temperature of this machine's hottest sensor in degrees Celsius, if it has any."""
    return read_sensors().hottest_c


@contextmanager
def open_segmentation(
    bundle: Path,
    robot: Robot,
    *,
    event_queue: SimpleQueue[Event],
    setup: Setup | None = None,
    temperature_c: Callable[[], float | None] = hottest_c,
    cache: Path | None = None,
) -> Iterator[Segmentation]:
    """Open the bundle, with HED apart, behind a gate, and with cheaper steps, as `robot` says.

    Args:
        bundle: A bundle folder.
        robot: How to work.
        event_queue: Gets what a schedule has to say.
        setup: What is inspected; its regions to ignore count beside those of the robot.
        temperature_c: The hottest sensor, degrees Celsius.
        cache: A folder for what the engine compiles.

    Raises:
        BundleError, EngineError: as `Pipeline.open`; a bundle without the graphs it needs,
            or without the signature that is required.
        ConfigError: a rule without a step, a step without a rule, or tiles with `hed_every`.
    """
    _check_rule(robot)
    _check_signatures(bundle, robot)
    ignore = _ignore(robot, setup or Setup(mode="wall"))
    with ExitStack() as stack:

        def open_one(path: Path, point: str | None = robot.operating_point) -> Pipeline:
            return stack.enter_context(_open_pipeline(path, robot, cache, point, ignore))

        if robot.hed_every > 1 or robot.hed_bundle:
            pipeline, full = _open_split(bundle, robot, cache, ignore)
            stack.enter_context(pipeline)
        else:
            full = pipeline = open_one(bundle)
        if robot.gate_bundle:
            cheap, threshold = open_one(Path(robot.gate_bundle), None), robot.gate_threshold
            full = Cascade(cheap, full, threshold=threshold, wake_px=robot.gate_wake_px)
        steps = [DegradationStep(name="full", segment=full)]
        if robot.degrade_every > 1:
            steps.append(replace(steps[0], name=_rate(robot), every=robot.degrade_every))
        if robot.degrade_bundle:
            cheaper = open_one(Path(robot.degrade_bundle))
            name = f"bundle {Path(robot.degrade_bundle).name}"
            steps.append(replace(steps[-1], name=name, segment=cheaper))
        skip = _skip(robot)
        if len(steps) == 1:
            yield Segmentation(segment=full, skip=skip, pipeline=pipeline)
            return
        degradation = Degradation(
            steps, _rule(robot), temperature_c=temperature_c, event_queue=event_queue, skip=skip
        )
        yield Segmentation(segment=degradation.segment, skip=degradation.skip, pipeline=pipeline)


def _check_signatures(bundle: Path, robot: Robot) -> None:
    if robot.require_signature is None:
        return
    from scnet_edge.bundle.signing import require_signature

    others = (robot.hed_bundle, robot.gate_bundle, robot.degrade_bundle)
    for path in (bundle, *(Path(other) for other in others if other)):
        require_signature(path, Path(robot.require_signature))


def _open_pipeline(
    bundle: Path, robot: Robot, cache: Path | None, point: str | None, ignore: Ignore
) -> Pipeline:
    return Pipeline.open(
        bundle,
        engine=robot.engine,
        threads=robot.threads,
        cache=cache,
        isolate=bool(robot.isolate),
        fallback=robot.fallback,
        operating_point=point,
        timeout_s=robot.engine_timeout_s,
        scale=_scale(robot),
        ignore=ignore,
    )


def _open_split(
    bundle: Path, robot: Robot, cache: Path | None, ignore: Ignore
) -> tuple[Pipeline, Segment]:
    """Return a pipeline over HED and SCNet apart, and it with `prior_reused` flagged."""
    manifest = _read_split_manifest(bundle, (HED, SCNET))
    hed_bundle = Path(robot.hed_bundle) if robot.hed_bundle else bundle
    hed_manifest = _read_split_manifest(hed_bundle, (HED,))
    assert manifest.edge_threshold is not None
    split = SplitBackend(
        *open_both(
            lambda: _open_graph(hed_bundle, hed_manifest, HED, robot, cache),
            lambda: _open_graph(bundle, manifest, SCNET, robot, cache),
        ),
        every=robot.hed_every,
        hed_frame_hw=hed_manifest.input.frame_hw,
        size_hw=manifest.input.size_hw,
        edge_threshold=manifest.edge_threshold,
    )
    manifest = at_operating_point(manifest, robot.operating_point)
    pipeline = Pipeline(manifest, split, scale=_scale(robot), ignore=ignore)

    def segment(frame: Frame) -> Result:
        result = pipeline(frame)
        return replace(result, flags=("prior_reused",)) if split.reused else result

    return pipeline, segment


def _open_graph(
    bundle: Path, manifest: Manifest, part: str, robot: Robot, cache: Path | None
) -> Backend:
    return open_engine(
        bundle,
        manifest,
        part,
        engine=robot.engine,
        fallback=robot.fallback,
        isolate=bool(robot.isolate),
        threads=robot.threads,
        cache=cache,
        timeout_s=robot.engine_timeout_s,
    )


def _read_split_manifest(bundle: Path, names: tuple[str, ...]) -> Manifest:
    manifest = read_manifest(bundle)
    if not set(names) <= manifest.files.keys() or manifest.edge_threshold is None:
        raise BundleError(
            f"{bundle}: expected a bundle of a model with HED that holds {' and '.join(names)}; "
            "build it with --split-graphs"
        )
    return manifest


def _scale(robot: Robot) -> ModelScale:
    """Return how frames are brought to the model; the edges of one tile say nothing of the next."""
    if robot.hed_every == 1:
        return robot.scale or "native"
    if robot.scale not in (None, "fit"):
        raise ConfigError(f'hed_every: needs scale "fit", found "{robot.scale}"; drop one of them')
    return "fit"


def _ignore(robot: Robot, setup: Setup) -> Ignore:
    mask = robot.ignore_mask or setup.ignore_mask
    return Ignore(
        robot.ignore + setup.ignore,
        mask=None if mask is None else Path(mask),
        still=bool(robot.ignore_still),
    )


def _skip(robot: Robot) -> Skip:
    unwanted = frozenset(robot.skip)

    def skip(captured: Captured) -> str | None:
        return next((fault for fault in captured.faults if fault in unwanted), None)

    return skip


def _check_rule(robot: Robot) -> None:
    rules = robot.late_ms > 0 or robot.hot_c > 0
    steps = robot.degrade_every > 1 or robot.degrade_bundle is not None
    if rules and not steps:
        raise ConfigError("late_ms, hot_c: need degrade_every above 1 or a degrade_bundle")
    if steps and not rules:
        raise ConfigError("degrade_every, degrade_bundle: need late_ms or hot_c above 0")


def _rate(robot: Robot) -> str:
    return f"one frame in {robot.degrade_every}"


def _rule(robot: Robot) -> Rule:
    return Rule(
        late_ms=robot.late_ms or None,
        hot_c=robot.hot_c or None,
        settle_s=robot.settle_s,
        recover_s=robot.recover_s,
    )
