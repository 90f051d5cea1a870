"""What to measure: one flat TOML file under `benchmarks/`; unknown keys are refused."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec

from scnet_edge.bench.schema import Case, Engine, Precision, Schedule, Scope
from scnet_edge.config import read_toml
from scnet_edge.data.frames import check_size
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.models.cards import shipped_models
from scnet_edge.runtime.scale import ModelScale

PACKAGE = Path(__file__).parent
MODES: dict[tuple[Engine, Precision], tuple[str, ...]] = {
    ("torch", "fp32"): ("eager", "compile"),
    ("torch", "bf16"): ("eager", "compile"),
    ("torch", "fp16"): ("eager", "compile"),
    ("openvino", "fp32"): ("default",),
    ("openvino", "bf16"): ("default",),
    ("openvino", "fp16"): ("default",),
    ("openvino", "int8"): ("default", "bf16-rest"),
    ("onnxruntime", "fp32"): ("default",),
    ("onnxruntime", "fp16"): ("default",),
    ("onnxruntime", "int8"): ("default",),
    ("tensorrt", "fp32"): ("default",),
    ("tensorrt", "fp16"): ("default",),
    ("tensorrt", "int8"): ("default",),
}

Count = Annotated[int, msgspec.Meta(ge=1)]
Some = msgspec.Meta(min_length=1)


class Contender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An engine with its precision and mode, for every model and size of the suite.

    Attributes:
        models: Only these; None for all of the suite.
        scale: How frames of another size are brought to the network.
    """

    engine: Engine
    precision: Precision
    mode: str = "default"
    schedule: Schedule = "every"
    models: Annotated[tuple[str, ...], Some] | None = None
    scale: ModelScale = "native"

    def __post_init__(self) -> None:
        modes = MODES.get((self.engine, self.precision))
        if modes is None or self.mode not in modes:
            expected = f"mode {' or '.join(modes)}" if modes else "another precision"
            raise ValueError(f"{self.engine} {self.precision} {self.mode!r}: expected {expected}")


class Suite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to measure and how long.

    Attributes:
        models: What `Case.model` may be; none for every shipped crack model.
        sizes_hw: Height and width of the networks.
        frame_hw: Of the camera's frames; None: those of each network.
        contenders: What runs them.
        scopes: Which figures to take of each.
        together: Let all models of one size take turns, not only the cases of one model: what
            compares models, at the price of the memory of all their processes at once. A run that
            was cut short then goes on with the size, not the model, that it was at.
        rounds: How often the cases of a group, one model's or `together` one size's, take turns.
        round_s: How long a turn lasts, at least; one frame is always timed.
        frames: How many frames a turn times at most.
        warm_up: Frames before the first turn.
        images: Annotated images to score, evenly spaced; 0 for all.
        threads: CPU threads; None leaves it to each engine.
        limits: Measure the machine's own limits, too.
        profile: Ask the engine where its time goes, too.
    """

    models: tuple[str, ...] = ()
    sizes_hw: Annotated[tuple[tuple[Count, Count], ...], Some]
    frame_hw: tuple[Count, Count] | None = None
    contenders: Annotated[tuple[Contender, ...], Some]
    scopes: Annotated[tuple[Scope, ...], Some] = ("engine", "pipeline", "camera_to_mask")
    together: bool = False
    rounds: Count = 5
    round_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    frames: Count = 60
    warm_up: Count = 3
    images: Annotated[int, msgspec.Meta(ge=0)] = 0
    threads: Count | None = None
    limits: bool = True
    profile: bool = True

    @property
    def first_model(self) -> str:
        """The model that others are held to where all take turns."""
        return (self.models or _list_shipped())[0]

    def cases(self) -> list[list[Case]]:
        """Return the cases, those that take turns in one list: one model's, or all models'."""
        models = self.models or tuple(_list_shipped())
        if self.together:
            return [self._cases_of(models, size_hw) for size_hw in self.sizes_hw]
        pairs = itertools.product(models, self.sizes_hw)
        return [self._cases_of((model,), size_hw) for model, size_hw in pairs]

    def _cases_of(self, models: tuple[str, ...], size_hw: tuple[int, int]) -> list[Case]:
        return [
            Case(
                model=model,
                size_hw=size_hw,
                engine=c.engine,
                precision=c.precision,
                mode=c.mode,
                schedule=c.schedule,
                frame_hw=self.frame_hw,
                scale=c.scale,
            )
            for model in models
            for c in self.contenders
            if c.models is None or model in c.models
        ]


def find_suite(path: Path | None, *, quick: bool) -> tuple[str, Suite]:
    """Return the name and content of a suite file, or of the packaged `full` or `quick` one.

    Raises:
        ConfigError: no such file, an unknown key, or a value of the wrong type.
    """
    if path is not None and quick:
        raise ConfigError("a suite file or --quick, please, not both")
    path = path or PACKAGE / ("quick.toml" if quick else "full.toml")
    return path.stem, read_suite(path)


def read_suite(path: Path) -> Suite:
    """Return the suite of a TOML file; raises ConfigError as `find_suite` does."""
    suite = read_toml(path, Suite)
    if suite.frame_hw is not None:
        try:
            check_size(*suite.frame_hw, "frame_hw")
        except InputError as e:
            raise ConfigError(f"{path}: {e}") from e
    shipped = _list_shipped()
    if unknown := sorted({m for m in suite.models if "/" not in m} - set(shipped)):
        raise ConfigError(
            f"{path}: models: {', '.join(unknown)}: expected {', '.join(shipped)}, or a folder of "
            "bundles, with a / in it"
        )
    named = {m for c in suite.contenders for m in c.models or ()}
    if unknown := sorted(named - set(suite.models or shipped)):
        raise ConfigError(f"{path}: contenders name {', '.join(unknown)}, not among its models")
    counts = Counter(case for group in suite.cases() for case in group)
    if twice := [case for case, count in counts.items() if count > 1]:
        raise ConfigError(
            f"{path}: {twice[0].name} {twice[0].label} stands there twice; leave one out"
        )
    if not counts:
        raise ConfigError(f"{path}: no contender runs any of its models; name one")
    return suite


def _list_shipped() -> list[str]:
    return [card.name for card in shipped_models() if card.kind == "scnet"]


def suite_sha256(suite: Suite) -> str:
    """Return the hex digest of what a suite says.

    A key that is younger than results that we keep counts only where it is set.
    """
    told = msgspec.to_builtins(suite)
    if not suite.together:
        del told["together"]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()
