"""The tables of trainings made anew: those of the paper, and of what the prior is worth."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.paper_ablation import Figures, cell
from benchmarks.paper_tables import TABLES as PAPER
from benchmarks.prior_report import Figure, PriorStudy
from scnet_edge.config import read_json
from scripts.tables import RESULTS, table

ARM_NAMES = {
    "light": "behind the light HED",
    "none": "wider, no prior",
    "small": "the same, no prior",
}


def paper_table(name: str) -> str:
    """Return a table of the paper as we made it."""
    made = read_json(RESULTS / f"tables/table-{name}.json", Figures)
    described = PAPER[made.table]
    crossed = described.crossed is not None
    rows = []
    for row in made.figures:
        cells = [row.row, f"{row.parameters / 1e6:.2f} M"]
        cells += [row.trained_on, row.tested_on] if crossed else []
        cells += [cell(row.scores, metric) for metric in described.metrics]
        rows.append([*cells, "-" if row.paper is None else f"{row.paper:.2f}"])
    head = ["row", "parameters", *(["trained on", "tested on"] if crossed else [])]
    return table([*head, *described.metrics, "paper"], rows)


def prior_study() -> str:
    """Return what a light HED in front of a net is worth in short runs."""
    study = read_json(RESULTS / "prior-study.json", PriorStudy)
    rows = []
    for cost in study.costs:
        runs = [run for run in study.runs if run.arm == cost.arm]
        f1, found, alarmed = (
            sum(getattr(run, key) for run in runs) / len(runs)
            for key in ("best_f1", "found", "alarmed")
        )
        each = ", ".join(f"{run.best_f1:.3f}" for run in runs)
        price = (f"{cost.parameters / 1e6:.2f} M", f"{cost.int8_ms:.1f}", f"{cost.fp32_ms:.1f}")
        rows.append(
            [ARM_NAMES[cost.arm], f"{f1:.4f}", each, f"{found:.0%}", f"{alarmed:.0%}", *price]
        )
    head = ("net", "best F1, mean of domains", "each seed", "cracks found", "sound frames alarmed")
    return table((*head, "parameters", "INT8, ms", "FP32, ms"), rows)


def prior_differences() -> str:
    """Return the paired differences of the study of the prior, domain by domain."""
    study = read_json(RESULTS / "prior-study.json", PriorStudy)
    domains = list(study.differences[0].by_domain)
    labels = ["mean of domains", *domains, "cracks found", "sound frames alarmed"]
    columns = [
        [d.best_f1, *(d.by_domain[domain] for domain in domains), d.found, d.alarmed]
        for d in study.differences
    ]
    rows = [[label, *map(_above, cells)] for label, *cells in zip(labels, *columns, strict=True)]
    heads = (f"{ARM_NAMES[d.arm]} - {ARM_NAMES[d.against]}" for d in study.differences)
    return table(("best F1, or share", *heads), rows)


def _above(figure: Figure) -> str:
    low, high = figure.ci95
    return f"{figure.above:+.3f} [{low:+.3f}, {high:+.3f}]"


TABLES: dict[str, Callable[[], str]] = {
    "prior-study": prior_study,
    "prior-differences": prior_differences,
    **{
        f"paper-{name}": lambda name=name: paper_table(name)  # type: ignore[misc]
        for name in sorted(p.stem.removeprefix("table-") for p in (RESULTS / "tables").glob("*"))
    },
}
