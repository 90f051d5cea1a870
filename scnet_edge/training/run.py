"""One run: a preset trained on data, into a folder that is a model afterwards."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from torch import nn

from scnet_edge.data.corpus import Corpus
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.frames import EDGE_THRESHOLD
from scnet_edge.data.samples import Sample
from scnet_edge.errors import ConfigError
from scnet_edge.evaluation.operating import best_threshold, domain_counts
from scnet_edge.evaluation.predict import predictions, reference_run
from scnet_edge.files import write_image
from scnet_edge.models.baselines import CrackNet
from scnet_edge.models.cards import Card, CardConfig, find_card, run_card, write_card
from scnet_edge.models.decision import Decision
from scnet_edge.models.hed import HED
from scnet_edge.models.scnet import SCNet, SCNetConfig
from scnet_edge.models.weights import (
    count_parameters,
    load_into,
    load_state,
    measure_card,
    open_hed,
    open_prior,
    open_scnet,
    save_weights,
)
from scnet_edge.training import run_folder
from scnet_edge.training.corpora import Held, load_corpus
from scnet_edge.training.edge_maps import KeptHED, agreement
from scnet_edge.training.hardware import CPU, Hardware, check_batch, first_alone, world_size
from scnet_edge.training.images import TrainingImage, load_images, share_out
from scnet_edge.training.loop import Material, train
from scnet_edge.training.material import draw_pipes, mine, split_held_out
from scnet_edge.training.presets import Preset, find_preset, find_prior, first_model, open_teacher
from scnet_edge.training.run_folder import Settings
from scnet_edge.types import Map

PICTURES = 3
Report = Callable[[str], None]
Progress = Callable[[int, float], None]
Log = Callable[[run_folder.Row], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to train: a preset with the options that were given on top.

    Attributes:
        name: Of the preset.
        preset: The preset with its schedule changed by options.
        data: Data sets as NAME:DIR; their training splits together. Empty with a corpus.
        corpus: Many data sets, each with its share.
        mine: Cut more crops where `start` takes for a crack what is none.
        start: A model or run whose weights are gone on from.
        teachers: Models or runs whose mean probability is learnt, too; of a schedule that keeps
            some of `start`, that one where no other is named.
        on: What it computes on.
    """

    name: str
    preset: Preset
    data: tuple[str, ...]
    corpus: Corpus | None = None
    mine: bool = False
    start: str | None = None
    teachers: tuple[str, ...] = ()
    on: Hardware = CPU


def request(
    name: str,
    data: Sequence[str],
    *,
    corpus: Corpus | None = None,
    mine: bool = False,
    on: Hardware = CPU,
    start: str | None = None,
    teachers: Sequence[str] = (),
    prior: str | None = None,
    **changes: object,
) -> Request:
    """Return a request; `changes` replace fields of the preset's schedule, None leaves them.

    Raises:
        ConfigError: no such preset, a value out of range, not one of data and corpus, or a prior
            for a net that sees none.
    """
    if bool(data) == (corpus is not None):
        raise ConfigError("expected --data or --corpus, found both or none; give one of the two")
    if mine and not (corpus and start):
        raise ConfigError("--mine looks for mistakes of --start in a --corpus; give both")
    preset = find_preset(name)
    if prior:
        if not preset.takes_prior:
            raise ConfigError(
                f"--prior: expected a preset that sees edges, found {name}; leave it out"
            )
        preset = dataclasses.replace(preset, prior=prior)
    given: dict[str, Any] = {k: value for k, value in changes.items() if value is not None}
    if corpus and corpus.scale:
        how = preset.schedule.augmentation
        given["augmentation"] = dataclasses.replace(how, scale=corpus.scale)
    schedule = dataclasses.replace(preset.schedule, **given)
    if schedule.keep_start:
        if start is None:
            raise ConfigError(f"{name} keeps some of the weights of --start; give it")
        teachers = teachers or (start,)
    return Request(
        name=name,
        preset=dataclasses.replace(preset, schedule=schedule),
        data=tuple(data),
        corpus=corpus,
        mine=mine,
        start=start,
        teachers=tuple(teachers),
        on=on,
    )


def train_run(
    wanted: Request,
    out: Path,
    *,
    resume: bool = False,
    report: Report = lambda line: None,
    progress: Progress = lambda step, loss: None,
    log: Log = lambda row: None,
    writes: bool = True,
    maps: Path | None = None,
) -> None:
    """Train into the folder `out`; with `resume`, go on where an older run of it was cut.

    All that was asked for is read before the folder is touched. Of several processes, each calls
    this.

    Args:
        wanted: What to train.
        out: The folder of the run.
        resume: Go on with the run that is there.
        report: Told what happens besides steps.
        progress: Told each step and its loss.
        log: Given each row of the run's log.
        writes: Whether this process keeps the folder; of several, the first one does.
        maps: The folder of HED's maps, where runs share it; otherwise `out`/edges. Of a corpus
            only those of held-out images are kept: its crops are blended, and looked at each time.

    Raises:
        ScnetEdgeError: the data, folder or options cannot be used.
    """
    settings = _settings(wanted)
    prior = find_prior(wanted.preset, wanted.teachers)
    check_batch(wanted.preset.schedule.batch, world_size())
    first_alone(lambda: run_folder.check(out, settings, resume=resume))
    begun_at = run_folder.checkpointed_step(out)
    if begun_at == wanted.preset.schedule.steps:
        report(f"{out}: finished already, all {begun_at} steps")
        return
    images, held = _read(wanted, report)
    model = first_model(wanted.preset, wanted.start)
    teachers = [open_teacher(name, wanted.on) for name in wanted.teachers]
    first_alone(lambda: run_folder.claim(out, settings, resume=resume))
    if writes:
        run_folder.write_log(out, run_folder.read_log(out, until=begun_at))
    kept = sum(map(len, held.values()))
    report(f"{len(images)} images train, {kept} are held out for the threshold")
    hed = KeptHED(open_hed(prior).to(wanted.on.device), maps or out / "edges") if prior else None
    material = _material(wanted, images, hed, teachers, report)
    report(f"{wanted.name}: {count_parameters(model) / 1e6:.2f} M parameters")

    def note(row: run_folder.Row) -> None:
        run_folder.append_log(out, row)
        log(row)

    def tell(step: int, loss: float) -> None:
        if writes and (step % 10 == 0 or step == 1):
            note({"step": step, "loss": loss})
        progress(step, loss)

    def validate(step: int, averaged: nn.Module) -> None:
        report(_validate(step, averaged, held, hed, wanted, out, note))  # type: ignore[arg-type]

    train(
        model,
        material,
        wanted.preset.schedule,
        out,
        on=wanted.on,
        progress=tell,
        validate=validate,
    )


def _settings(wanted: Request) -> Settings:
    return Settings(
        preset=wanted.name,
        data=wanted.data,
        corpus=wanted.corpus,
        mine=wanted.mine,
        start=wanted.start,
        teachers=wanted.teachers,
        prior=wanted.preset.prior,
        schedule=wanted.preset.schedule,
    )


def _read(wanted: Request, report: Report) -> tuple[list[TrainingImage], Held]:
    """Return the images that train, without edge maps, and by domain those that are held out."""
    if wanted.corpus:
        images, kept = load_corpus(wanted.corpus, report, seed=wanted.preset.schedule.seed)
        if wanted.mine and wanted.start:
            report(f"looking for what {wanted.start} takes for a crack")
            begun = find_card(wanted.start)
            images = mine(images, reference_run(open_scnet(begun), open_prior(begun)))
        return images, kept
    fit, held = split_held_out([s for spec in wanted.data for s in open_dataset(spec, "train")])
    images = load_images(fit, None)
    for sample in held:  # a validation reads them again
        sample.read_pair()
    share = wanted.preset.schedule.pipe_share
    if share:
        images = [*share_out(images, 1 - share), *share_out(draw_pipes(), share, taught=False)]
    return images, {"data": held}


def _material(
    wanted: Request,
    images: list[TrainingImage],
    hed: KeptHED | None,
    teachers: list[SCNet],
    report: Report,
) -> Material:
    if hed is None:
        return Material(images=images, teachers=teachers)
    if wanted.corpus or wanted.preset.model == "hed":
        return Material(images=images, teachers=teachers, hed=hed.hed)
    report(f"edge maps of {len(images)} images, each made once")
    mapped = [dataclasses.replace(image, edges=hed.map_of(image.frame)) for image in images]
    return Material(images=mapped, teachers=teachers)


def _validate(
    step: int,
    averaged: CrackNet | HED,
    held: Held,
    hed: KeptHED | None,
    wanted: Request,
    out: Path,
    note: Log,
) -> str:
    """Score held-out images, draw some, and write weights and card with the best threshold."""
    weights = run_card(out).with_suffix(".safetensors")
    save_weights(averaged.cpu(), weights)
    load_into(averaged, load_state(weights), str(weights))  # scored as it would ship, in FP16
    if isinstance(averaged, HED):
        assert hed is not None
        return _validate_hed(step, averaged, held, hed, wanted, out, note)
    prior = hed if wanted.preset.takes_prior else None
    run = reference_run(averaged.eval(), prior, device=wanted.on.device)
    maps = {domain: list(predictions(run, samples)) for domain, samples in held.items()}
    kept = _kept_decision(wanted)
    best = best_threshold(
        [domain_counts(pairs) for pairs in maps.values()], kept=kept.threshold if kept else None
    )
    decision = kept or Decision(threshold=best.threshold)
    note({"step": step, "f1": best.score, "threshold": best.threshold})
    _draw(step, next(iter(maps.values())), out)
    write_card(run_card(out), measure_card(_card(step, decision, wanted, out), weights))
    return (
        f"step {step}: {best.named} {best.score:.4f} on {sum(map(len, held.values()))} held-out "
        f"images at {best.threshold:.2f}"
    )


def _validate_hed(
    step: int, averaged: HED, held: Held, teacher: KeptHED, wanted: Request, out: Path, note: Log
) -> str:
    """Score the edges by the teacher's on held-out images, and write the card."""
    frames = [sample.read_frame() for samples in held.values() for sample in samples]
    f1 = agreement(averaged.eval(), teacher.map_of, frames)
    note({"step": step, "f1": f1, "threshold": EDGE_THRESHOLD})
    card = _card(step, Decision(threshold=EDGE_THRESHOLD), wanted, out)
    write_card(run_card(out), measure_card(card, run_card(out).with_suffix(".safetensors")))
    return f"step {step}: F1 {f1:.4f} against the edges of {wanted.preset.prior}, held-out images"


def _draw(step: int, maps: list[tuple[Sample, Map]], out: Path) -> None:
    run_folder.draw_curves(out)
    (out / run_folder.PICTURES).mkdir(exist_ok=True)
    for sample, probability in maps[:: -(-len(maps) // PICTURES)]:
        drawn = run_folder.picture(sample.read_frame(), sample.read_mask(), probability)
        write_image(out / run_folder.PICTURES / f"{step:06}-{sample.name}.jpg", drawn)


def _kept_decision(wanted: Request) -> Decision | None:
    """Return what is called a crack by the model whose weights are kept in part, if any are."""
    keeps = wanted.preset.schedule.keep_start > 0
    return find_card(wanted.start).decision if wanted.start and keeps else None


def _card(step: int, decision: Decision, wanted: Request, out: Path) -> Card:
    """Return the card; hash, parameters and GMAC are filled in from the weight file."""
    config, name = wanted.preset.config, run_card(out).stem
    begun = f", begun from {wanted.start}" if wanted.start else ""
    teachers = (wanted.preset.prior,) if wanted.preset.model == "hed" else wanted.teachers
    taught = f", taught by {' and '.join(teachers)}" if teachers else ""
    return Card(
        name=name,
        kind=wanted.preset.model,
        file=f"{name}.safetensors",
        sha256="0" * 64,
        parameters=0,
        gmac=0.0,
        size_hw=(384, 544),
        config=None if config is None else _card_config(config),
        prior=wanted.preset.prior if wanted.preset.takes_prior else None,
        hed_width=wanted.preset.hed_width,
        threshold=decision.threshold,
        seed=decision.seed,
        data=", ".join(_name_material(wanted)) + ", training split",
        data_licence=wanted.corpus.licence if wanted.corpus else "that of the data sets named",
        licence=wanted.corpus.licence if wanted.corpus else "that of the data sets named",
        recipe=f"scnet-edge train {wanted.name}{begun}{taught}: {wanted.preset.schedule}",
        steps=step,
        metrics=None,
        created=datetime.date.today().isoformat(),
    )


def _name_material(wanted: Request) -> tuple[str, ...]:
    """Return what a run learns from, in words."""
    if wanted.corpus is None:
        return wanted.data
    corpus = wanted.corpus
    sets = [f"{each.name} ({each.licence})" for each in corpus.sets if each.share]
    ours = ("drawn", "pipe_views", "wall_views", "plain", "blended")
    return (
        *sets,
        *(f"{name.replace('_', ' ')} images of ours" for name in ours if getattr(corpus, name)),
    )


def _card_config(config: SCNetConfig) -> CardConfig:
    return msgspec.convert(dataclasses.asdict(config), CardConfig)
