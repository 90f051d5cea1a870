"""Ship a trained run: its weights under a name, its scores, and the card that says them.

    scnet-edge train small-field --corpus corpora/field.toml --out runs/field
    SCNET_EDGE_DATA=... python scripts/ship_weights.py runs/field scnet-small-instance \
        scnet_edge/weights --trained-on corpora/field.toml --bits 7

Writes FOLDER/NAME.safetensors and .json, benchmarks/results/accuracy/NAME-on-SET.json for the test
splits of DeepCrack, CrackForest and the masonry set, and benchmarks/results/domains/NAME.json for
those of corpora/field.toml; each is looked at once. The operating points are chosen by images of
the training splits of corpora/field.toml that trained nothing, whatever the corpus of the run is:
they are two numbers, no weights. Without a corpus the threshold is that of the run, the best of its
held-out training images. --bits rounds the weights before they are scored, so that the repository,
which keeps every version, compresses them. --logits makes a net as sure as the others are, see
`scale_logits`. Afterwards: scripts/recalibrate.py, and the figures of
README and docs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import torch
from rich.progress import track
from torch import nn

from scnet_edge.config import write_json
from scnet_edge.data.corpus import Corpus, read_corpus
from scnet_edge.data.datasets import open_dataset
from scnet_edge.data.samples import Sample
from scnet_edge.evaluation.domains import DomainScores, point_figures, score_corpus
from scnet_edge.evaluation.operating import choose_points
from scnet_edge.evaluation.predict import Run, predictions, reference_run
from scnet_edge.evaluation.scores import Evaluation, card_metrics, evaluate
from scnet_edge.models.cards import Card, OperatingPoint, find_card, read_card, write_card
from scnet_edge.models.decision import Decision
from scnet_edge.models.weights import measure_card, open_prior, open_scnet, save_weights
from scnet_edge.training.corpora import hold_out

SETS = ("deepcrack", "crackforest", "masonry")
SCORES, DOMAINS = Path("benchmarks/results/accuracy"), Path("benchmarks/results/domains")
FIELD = Path("corpora/field.toml")
SHIPPED = "shipped"  # the one threshold of a net whose run had no corpus
DATA = "DeepCrack (Liu et al. 2019), training split"
WALLS = ", and pipe walls drawn by scnet_edge.simulation"
DATA_LICENCE = "DeepCrack is for non-commercial research and educational purposes"
LICENCE = "Apache-2.0; data: non-commercial research"


def round_weights(model: nn.Module, bits: int) -> None:
    """Keep the leading `bits` significant bits of every weight, in place; FP16 has 11."""
    with torch.no_grad():
        for weight in model.parameters():
            mantissa, exponent = torch.frexp(weight)
            weight.copy_(torch.ldexp(torch.round(mantissa * 2**bits) / 2**bits, exponent))


def scale_logits(model: nn.Module, by: float, plus: float) -> None:
    """Multiply the fused logits by a number and add another, in the last layer, in place.

    Masks stay where their decision is scaled with them. A record's confidence is the mean
    probability of a crack, and `survey.sorting` has one bound for all nets: so the nets have to be
    equally sure of what is equally true.
    """
    fuse = model.fuse
    assert isinstance(fuse, nn.Conv2d)
    assert fuse.bias is not None
    with torch.no_grad():
        fuse.weight.mul_(by)
        fuse.bias.mul_(by).add_(plus)


def reference(card: Card) -> Run:
    """Return the PyTorch reference of a card."""
    return reference_run(open_scnet(card), open_prior(card))


def score(card: Card, name: str, data: str) -> Evaluation:
    """Return the scores of the PyTorch reference on the test split."""
    predicted = predictions(reference(card), track(open_dataset(data, "test"), data))
    return evaluate(
        predicted,
        decision=card.decision,
        subject=name,
        engine="PyTorch FP32",
        data=f"{data.partition(':')[0]} test",
    )


def choose_points_on(card: Card, corpus: Corpus) -> dict[str, Decision]:
    """Return the operating points that images choose which trained nothing."""
    run, field = reference(card), read_corpus(FIELD)
    seen = {each.name for each in corpus.sets if each.share}
    unseen = {each.name for each in field.sets} - seen
    maps = {
        domain: list(predictions(run, track(samples, f"held out: {domain}")))
        for domain, samples in hold_out(field, unseen).items()
    }
    return {str(name): point for name, point in choose_points(maps).items()}


def score_domains(card: Card, points: dict[str, Decision]) -> dict[str, DomainScores]:
    """Return the scores on the test splits of the field corpus at each point."""

    def tracked(samples: list[Sample], domain: str) -> Iterable[Sample]:
        return track(samples, domain)

    scores = score_corpus(
        read_corpus(FIELD),
        reference(card),
        decisions=list(points.values()),
        subject=card.name,
        engine="PyTorch FP32",
        track=tracked,
    )
    return dict(zip(points, scores, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--walls", action="store_true", help="the run saw drawn pipe walls, too")
    parser.add_argument("--trained-on", type=Path, help="the corpus of the run, a TOML file")
    parser.add_argument("--recipe", help="what the card says instead of the run's own recipe")
    parser.add_argument("--bits", type=int, default=11, choices=range(6, 12))
    parser.add_argument(
        "--logits",
        type=float,
        nargs=2,
        default=(1.0, 0.0),
        metavar=("BY", "PLUS"),
        help="see scale_logits",
    )
    options = parser.parse_args()
    root, run = Path(os.environ["SCNET_EDGE_DATA"]), find_card(options.run)
    model, weights = open_scnet(run), options.folder / f"{options.name}.safetensors"
    scale_logits(model, *options.logits)
    round_weights(model, options.bits)
    save_weights(model, weights)
    rounded = f"; weights rounded to {options.bits} significant bits" * (options.bits < 11)
    by, plus = options.logits
    scaled = f"; fused logits times {by:g} plus {plus:g}" * ((by, plus) != (1, 0))
    corpus = read_corpus(options.trained_on) if options.trained_on else None
    card = msgspec.structs.replace(
        run,
        name=options.name,
        file=weights.name,
        data=run.data if corpus else DATA + WALLS * options.walls,
        data_licence=run.data_licence if corpus else DATA_LICENCE,
        licence=f"Apache-2.0; data: {corpus.licence}" if corpus else LICENCE,
        recipe=(options.recipe or run.recipe) + scaled + rounded,
        metrics=None,
    )
    path = weights.with_suffix(".json")
    write_card(path, measure_card(card, weights))
    card = read_card(path)
    points = choose_points_on(card, corpus) if corpus else {SHIPPED: card.decision}
    ships = points.get("balanced", card.decision)
    card = msgspec.structs.replace(card, threshold=ships.threshold, seed=ships.seed)
    domains = score_domains(card, points)
    DOMAINS.mkdir(exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(domains), indent=2)
    (DOMAINS / f"{options.name}.json").write_bytes(encoded + b"\n")
    scores = {kind: score(card, options.name, f"{kind}:{root / kind}") for kind in SETS}
    for kind, evaluation in scores.items():
        write_json(SCORES / f"{options.name}-on-{kind}.json", evaluation)
    shown = tuple(
        OperatingPoint(
            name=name,  # type: ignore[arg-type]
            threshold=points[name].threshold,
            seed=points[name].seed,
            domains={domain: point_figures(score) for domain, score in of.domains.items()},
        )
        for name, of in domains.items()
        if name != SHIPPED
    )
    metrics = card_metrics(scores["deepcrack"])
    write_card(path, msgspec.structs.replace(card, metrics=metrics, operating_points=shown))


if __name__ == "__main__":
    main()
