"""The tables of the archive commands, from what `benchmarks/archive.py` measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from scripts.tables import RESULTS, table


def archive_films() -> str:
    """Return what becomes of 200 made films, undisturbed and with workers killed."""
    scan, kills = _part("scan"), _part("kills")
    status = kills["status"]
    rows = [
        ["films found by the scan", f"{scan['accounted_for']} of {scan['films']}"],
        ["seconds of the scan", f"{scan['seconds']:.1f}"],
        [
            "inspected; unreadable, with the reason",
            f"{status['inspected']}; {status['unreadable']}",
        ],
        ["workers killed", str(kills["kills"])],
        ["files of results that differ", f"{kills['files_that_differ']} of {kills['files']}"],
        [
            "seconds, undisturbed and with the kills",
            f"{kills['seconds_undisturbed']:.0f}, {kills['seconds_with_kills']:.0f}",
        ],
    ]
    return table(("", "200 films, two workers"), rows)


def archive_workers() -> str:
    """Return one worker against two: processes, actors of Ray, a plain script."""
    part = _part("workers")
    rows = []
    for kind, by_workers in part["films_a_minute"].items():
        ratios = ", ".join(f"{ratio:.2f}" for ratio in part["two_against_one"][kind])
        rows.append([kind, f"{by_workers['1']:.1f}", f"{by_workers['2']:.1f}", ratios])
    head = ("workers", "films a minute: one", "two", "two against one, by turn")
    return table(head, rows)


def archive_counter() -> str:
    """Return how drawn counters are read."""
    part = _part("counter")
    rows = [
        [
            name,
            str(row["asked"]),
            str(row["readings"]),
            str(row["within"]),
            f"{row['most_off_m']} m",
        ]
        for name, row in part["styles"].items()
    ]
    near = f"within {part['near_m']} m"
    return table(("counter", "times asked", "readings kept", near, "furthest off"), rows)


def archive_coding() -> str:
    """Return the pairs that the comparison with made human codings finds."""
    part = _part("coding")
    rows = [
        [
            f"{row['cracks'] / part['metres']:g}",
            f"{row['off_m']:.2f}",
            str(row["pairs"]),
            f"{row['found']} ({100 * row['found'] / row['pairs']:.1f} %)",
            str(row.get("unclear", 0)),
            str(row.get("false", 0)),
            f"{100 * row['oracle_found'] / row['pairs']:.1f} %, {row.get('oracle_false', 0)}",
        ]
        for row in part["rows"]
    ]
    head = ("cracks a metre", "a person is off by, m (1 sigma)", "true pairs", "found")
    return table((*head, "called unclear", "false pairs", "the oracle: found, false"), rows)


def archive_review() -> str:
    """Return how long the page of a reviewer waits for its server."""
    part = _part("review")
    rows = [
        [f"seconds until {part['records']} records are listed", f"{part['listed_s']:.2f}"],
        ["seconds until a verdict is on the disk, median", f"{part['verdict_s_median']:.2f}"],
        ["the longest", f"{part['verdict_s_most']:.2f}"],
    ]
    return table(("", "review page"), rows)


def _part(name: str) -> Any:
    return json.loads((RESULTS / "archive.json").read_text(encoding="utf-8"))[name]


TABLES: dict[str, Callable[[], str]] = {
    "archive-films": archive_films,
    "archive-workers": archive_workers,
    "archive-counter": archive_counter,
    "archive-coding": archive_coding,
    "archive-review": archive_review,
}
