"""The page over all pipes, worst first, each opening its own report; and one of disagreements."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec

from scnet_edge import __version__
from scnet_edge.archive.agreement import (
    FilmAgreement,
    compare_archive,
    human_picture,
    pictures_of,
    totals,
)
from scnet_edge.archive.compare import Pairing
from scnet_edge.archive.folder import (
    SURVEY,
    Done,
    Job,
    film_folder,
    own_film_folder,
    read_archive,
    read_cracks,
)
from scnet_edge.archive.likeness import Tolerances
from scnet_edge.archive.manifest import ArchiveManifest, ManifestRow
from scnet_edge.data.pictures import read_size
from scnet_edge.errors import InputError
from scnet_edge.files import write_file
from scnet_edge.folders import file_sha256
from scnet_edge.survey.codes import Codes, Limit, Rating, judge, rate, suggest
from scnet_edge.survey.evidence import SNAPSHOTS, picture_path
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.journal import JOURNAL
from scnet_edge.survey.report import words
from scnet_edge.survey.report.page import render_report, report_template

INDEX, DISAGREEMENTS, REPORT = "index.html", "compare.html", "report.html"
FOLDER = Path(__file__).parent / "page"
MOST_SHOWN = 2000  # disagreements; each has a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """One film as a line of the page.

    Attributes:
        link: its own report.
        above: how many cracks are surely wider than the limit.
        width: of its widest crack.
        agreement: with the human coding, where there is one that can be compared.
    """

    film: ManifestRow
    done: Done
    name: str
    link: str
    cracks: int
    above: int
    width: str
    width_key: float
    rating: Rating | None
    simulated: bool
    agreement: FilmAgreement | None

    @property
    def severity(self) -> tuple[float, ...]:
        """What sorts pipes, the worst first."""
        pipe_rating = self.rating.pipe_rating if self.rating else 0
        return (-self.above, -pipe_rating, -self.cracks, -self.width_key)


def write_report(archive: Path, codes: Codes, limit_name: str, limit: Limit) -> Path:
    """Write `index.html`, the report of every film, and `compare.html` where there is a coding.

    Raises:
        InputError: no archive there, or a damaged one.
        SurveyError: a film's survey is damaged.
    """
    job, manifest, done = read_archive(archive)
    agreements, left = compare_archive(archive, Tolerances())
    if agreements and not (archive / DISAGREEMENTS).exists():  # else with other tolerances
        write_disagreements(archive, agreements, left, Tolerances())
    by_film = {a.film.film_id: a for a in agreements}
    pipes = []
    for film in manifest.films:
        state = done.get(film.film_id)
        if state is not None and state.state != "failed":
            survey = read_cracks(archive, film)
            place = own_film_folder(archive, film)
            _write_own_report(place, survey, codes, limit_name, limit)
            pipes.append(_pipe(film, state, survey, codes, limit, by_film.get(film.film_id)))
    pipes.sort(key=lambda pipe: (pipe.severity, pipe.film.path_bytes))
    page = _index(job, manifest, done, pipes, agreements, limit_name, limit)
    write_file(archive / INDEX, page.encode(errors="replace"))
    return archive / INDEX


def write_disagreements(
    archive: Path, agreements: list[FilmAgreement], left: dict[str, int], tolerances: Tolerances
) -> Path:
    """Write `compare.html`: what differs, with the pictures of both sides."""
    job, manifest, _ = read_archive(archive)
    counts, score = totals(agreements)
    media = pictures_of(manifest)
    shown, hidden = list[dict[str, object]](), 0
    for agreement in agreements:
        for pairing in agreement.pairings:
            if pairing.verdict in ("agrees", "part", "not seen"):
                continue
            if len(shown) >= MOST_SHOWN:
                hidden += 1
                continue
            photo = human_picture(agreement, pairing, media)
            shown.append(
                {
                    "name": _name(agreement.film),
                    "link": _link(agreement.film),
                    "pairing": pairing,
                    "clock": "" if pairing.ours is None else words.clock_text(pairing.ours),
                    "ours": _snapshot_link(agreement, pairing),
                    "frame": _frame_around(archive, agreement, pairing),
                    "theirs": None if photo is None else _file_link(archive, job, photo),
                    "seen_at": _seen_at(pairing),
                }
            )
    values = {
        "counts": counts,
        "score": score,
        "left": left,
        "films": len(agreements),
        "tolerances": tolerances,
        "shown": shown,
        "hidden": hidden,
        "words": words,
    }
    page = report_template(FOLDER / DISAGREEMENTS).render(values)
    write_file(archive / DISAGREEMENTS, page.encode(errors="replace"))
    return archive / DISAGREEMENTS


def _write_own_report(
    place: Path, survey: Survey, codes: Codes, limit_name: str, limit: Limit
) -> None:
    path = place / REPORT
    table = msgspec.json.encode((codes, limit_name, __version__))
    made_of = hashlib.sha256(file_sha256(place / SURVEY / JOURNAL).encode() + table).hexdigest()
    mark = f"\n<!-- {made_of} -->\n".encode()  # a report that is up to date is left as it is
    if path.is_file() and not path.is_symlink() and path.read_bytes().endswith(mark):
        return
    page = render_report(survey, codes, limit_name, limit)
    write_file(path, page.encode(errors="replace") + mark)


def _pipe(
    film: ManifestRow,
    done: Done,
    survey: Survey,
    codes: Codes,
    limit: Limit,
    agreement: FilmAgreement | None,
) -> Pipe:
    kept = [o for o in survey.observations if o.review != "rejected"]
    measured = [o for o in kept if o.width_p95_mm is not None]
    widest = max(
        measured or kept,
        key=lambda o: o.width_p95_mm.value if o.width_p95_mm else o.width_p95_px,
        default=None,
    )
    pipes = survey.facts.mode != "wall"
    return Pipe(
        film=film,
        done=done,
        name=_name(film),
        link=_link(film),
        cracks=len(kept),
        above=sum(judge(o, limit) == "above" for o in kept),
        width="" if widest is None else words.width_text(widest),
        width_key=0.0 if widest is None else widest.width_p95_px,
        rating=rate(suggest(o, codes) for o in kept) if pipes else None,
        simulated=survey.facts.simulated,
        agreement=agreement,
    )


def _index(
    job: Job,
    manifest: ArchiveManifest,
    done: dict[str, Done],
    pipes: list[Pipe],
    agreements: list[FilmAgreement],
    limit_name: str,
    limit: Limit,
) -> str:
    failed = [d for d in done.values() if d.state == "failed"]
    unread = [r for r in manifest.rows if r.kind == "film" and r.state == "unreadable"]
    lost = [r for r in manifest.rows if r.state == "missing"]
    coded = [p.film.inspection for p in pipes if p.film.inspection]
    counts, score = totals(agreements)
    values = {
        "archive": Path(job.root).name,
        "pipes": pipes,
        "films": len(manifest.films) + len(unread),
        "waiting": len(manifest.films) - len(done),
        "failed": failed,
        "unread": unread,
        "lost": lost,
        "unknown": [r for r in manifest.rows if r.kind == "database" and r.state == "unreadable"],
        "claimed": [r for r in manifest.films if r.state == "claimed"],
        "metres": sum(p.done.length_m or 0.0 for p in pipes),
        "cracks": sum(p.cracks for p in pipes),
        "above": sum(p.above for p in pipes),
        "affected": sum(p.above > 0 for p in pipes),
        "scaled": any(p.width.endswith("mm") for p in pipes),
        "rated": any(p.rating for p in pipes),
        "sized": any(c.diameter_mm or c.material for c in coded),
        "placed": any(c.from_node or c.to_node for c in coded),
        "dated": any(c.date for c in coded),
        "compared": len(agreements),
        "counts": counts,
        "score": score,
        "limit_name": limit_name,
        "limit": limit,
        "sha256": job.sha256,
    }
    return report_template(FOLDER / INDEX).render(values)


def _name(film: ManifestRow) -> str:
    return film.inspection.pipe if film.inspection and film.inspection.pipe else film.path


def _link(film: ManifestRow) -> str:
    return f"films/{film.film_id}/{REPORT}"


def _snapshot_link(agreement: FilmAgreement, pairing: Pairing) -> str | None:
    ours = pairing.ours
    if ours is None or ours.snapshot is None:
        return None
    return f"films/{agreement.film.film_id}/{SURVEY}/{SNAPSHOTS}/{ours.snapshot}"


def _frame_around(
    archive: Path, agreement: FilmAgreement, pairing: Pairing
) -> tuple[float, float, float, float] | None:
    """Return left, top, width and height of our crack, in percent of its picture."""
    folder = film_folder(archive, agreement.film) / SURVEY
    ours = pairing.ours
    path = None if ours is None else picture_path(folder, ours)
    if ours is None or path is None:
        return None
    try:
        (height, width), _ = read_size(path)
    except (InputError, OSError):
        return None  # a damaged picture is shown as the browser shows it
    x0, y0, x1, y1 = ours.bbox_xyxy
    return 100 * x0 / width, 100 * y0 / height, 100 * (x1 - x0) / width, 100 * (y1 - y0) / height


def _file_link(archive: Path, job: Job, photo: bytes) -> str:
    """Return how the page refers to a file of the archive, whatever its name is."""
    there = os.path.join(os.fsencode(job.root), photo)  # noqa: PTH118
    return quote(os.path.relpath(there, os.fsencode(archive.absolute())))


def _seen_at(pairing: Pairing) -> str:
    if pairing.ours is not None and pairing.ours.time_s is not None:
        return words.time_text(pairing.ours.time_s)
    if pairing.theirs is not None and pairing.theirs.film_s is not None:
        return words.time_text(pairing.theirs.film_s)
    return ""
