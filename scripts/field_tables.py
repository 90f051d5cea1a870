"""The tables of what the nets do in the field, domain by domain."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from scnet_edge.evaluation.domains import DomainScore, DomainScores
from scripts.tables import RESULTS, edge_models, read_any, table


def domains() -> str:
    """Return what each net with figures of the field scores there, domain by domain."""
    found = _field()
    names = next(iter(next(iter(found.values())).values())).domains
    rows = []
    for domain in names:
        cells = [_in_domain(_as_shipped(points).domains[domain]) for points in found.values()]
        rows.append([domain, *cells])
    return table(["test images of", *(f"`{name}`" for name in found)], rows)


def operating_points() -> str:
    """Return what each operating point finds, and what it calls a crack that is none."""
    rows = []
    for name, points in _field().items():
        for point, scores in points.items():
            of = scores.domains.values()
            found = [s.cracks.crack_recall for s in of if s.cracks]
            alarmed = [s.alarms.alarmed for s in of if s.alarms]
            sewer = scores.domains["sewer"].alarms
            pasted = scores.domains["cracks-pasted-into-sewer"].cracks
            assert sewer is not None
            assert pasted is not None
            means = [f"{100 * sum(x) / len(x):.0f} %" for x in (found, alarmed)]
            here = [f"{100 * pasted.crack_recall:.0f} %", f"{100 * sewer.alarmed:.0f} %"]
            seed = f"{scores.seed:.2f}" if scores.seed else "-"
            numbers = (f"{scores.threshold:.2f}", seed, *means, *here, f"{sewer.per_frame:.2f}")
            rows.append([f"`{name}`", point, *numbers])
    head = ("model", "point", "threshold", "seed", "cracks found, mean of domains")
    more = ("sound frames alarmed, mean", "cracks found in sewers", "sewer frames alarmed")
    return table((*head, *more, "alarms a sewer frame"), rows)


def _field() -> dict[str, dict[str, DomainScores]]:
    """Return the scores in the field by model and operating point, those that ship first."""
    paths = {path.stem: path for path in (RESULTS / "domains").glob("*.json")}
    ships = edge_models()
    order = sorted(paths, key=lambda n: (ships.index(n) if n in ships else len(ships), n))
    kind = dict[str, DomainScores]
    return {name: msgspec.json.decode(paths[name].read_bytes(), type=kind) for name in order}


def _as_shipped(points: dict[str, DomainScores]) -> DomainScores:
    return points["balanced" if "balanced" in points else "shipped"]


def _in_domain(score: DomainScore) -> str:
    """Return the figures of one domain in a few words."""
    if score.cracks:
        c = score.cracks
        return f"F1 {c.f1:.3f}, best {c.best_f1:.3f}; {100 * c.crack_recall:.0f} % found"
    if score.alarms:
        return f"{100 * score.alarms.alarmed:.0f} % alarmed, {score.alarms.per_frame:.2f} a frame"
    assert score.image_level is not None
    return f"{100 * score.image_level.flagged:.0f} % flagged"


def survey() -> str:
    """Return cracks found and false alarms of simulated rides."""
    rows = []
    for path in sorted((RESULTS / "survey").glob("*.json")):
        result = read_any(path)
        rows.append(
            [
                result["plan"]["mode"],
                f"{result['found']} of {result['cracks']}",
                str(result["found_in_pieces"]),
                f"{result['false_alarms']} ({result['false_alarms_in_one_frame']})",
                f"{100 * result['false_alarms'] / result['plan']['metres']:.0f}",
                f"{100 * result['length_error_share_abs_median']:.1f} %",
                f"{result['width_error_mm_abs_median']:.2f} mm",
            ]
        )
    head = ("view", "cracks found", "in pieces", "false alarms (seen in one frame)", "per 100 m")
    return table((*head, "length error, median", "mean width error, median"), rows)


def survey_by_confidence() -> str:
    """Return the same by how sure a record must be."""
    rows, head = [], ["view", "default report", "all records"]
    for path in sorted((RESULTS / "survey").glob("*.json")):
        result = read_any(path)
        sure = result["at_least_as_sure"]
        shown = (result["default_report"], result, *sure)
        head[3:] = [f"at least {100 * one['min_confidence']:.0f} % sure" for one in sure]
        rows.append(
            [
                result["plan"]["mode"],
                *(f"{one['found']}, {one['false_alarms']}" for one in shown),
            ]
        )
    return table(head, rows)


TABLES: dict[str, Callable[[], str]] = {
    "domains": domains,
    "operating-points": operating_points,
    "survey": survey,
    "survey-by-confidence": survey_by_confidence,
}
