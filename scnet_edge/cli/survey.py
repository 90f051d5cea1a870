"""`scnet-edge report`, `export`, `import`, `compare` and `review`: what becomes of a survey."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError, InputError, install_extra

if TYPE_CHECKING:
    from rich.table import Table

    from scnet_edge.survey.folder import Survey
    from scnet_edge.survey.growth import Comparison
    from scnet_edge.survey.review_page.film import FilmFile

MinConfidence = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Joints, roots, water lines and what is short or less sure stand aside; 0 for none.",
    ),
]


@app.command()
def report(
    survey: Annotated[Path, typer.Argument(help="A survey's folder, as 'inspect' writes it.")],
    pdf: Annotated[bool, typer.Option("--pdf", help="Print it as PDF, too.")] = False,
    limit: Annotated[
        str, typer.Option(help="The width that widths are judged by: water-0.1, ...")
    ] = "concrete-0.3",
    codes: Annotated[
        Path | None, typer.Option(help="A table of codes and limits of your own, TOML.")
    ] = None,
    min_confidence: MinConfidence = 0.6,
) -> None:
    """Make a survey's report: report.html in its folder, which opens without a network."""
    from scnet_edge.files import write_file
    from scnet_edge.survey.codes import find_limit, read_codes
    from scnet_edge.survey.folder import read_survey
    from scnet_edge.survey.report.page import REPORT, render_report
    from scnet_edge.survey.report.pdf import print_pdf
    from scnet_edge.survey.sorting import count_aside, set_aside

    table = read_codes(codes)
    read = set_aside(read_survey(survey), min_confidence)
    page = render_report(read, table, limit, find_limit(table, limit))
    write_file(survey / REPORT, page.encode())
    typer.echo(survey / REPORT)
    if read.aside:
        typer.echo(f"set aside, in a section of their own: {count_aside(read)}", err=True)
    if pdf:
        printed = (survey / REPORT).with_suffix(".pdf")
        print_pdf(survey / REPORT, printed)
        typer.echo(printed)


@app.command()
def export(
    survey: Annotated[Path, typer.Argument(help="A survey's folder, as 'inspect' writes it.")],
    format: Annotated[
        str,
        typer.Option(help="csv, json, geojson, coco, pacp-csv, isybau-xml, m150-xml or training."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where to write; default: SURVEY/export.")
    ] = None,
    locale: Annotated[
        str | None,
        typer.Option(help="Of csv: de, fr, ... for semicolons and decimal commas, as Excel there."),
    ] = None,
    codes: Annotated[Path | None, typer.Option(help="A table of codes of your own, TOML.")] = None,
    min_confidence: MinConfidence = 0.6,
) -> None:
    """Write a survey in a format that other programs read."""
    from scnet_edge.survey.codes import read_codes
    from scnet_edge.survey.exchange import WRITERS, export_survey
    from scnet_edge.survey.folder import read_survey
    from scnet_edge.survey.sorting import count_aside, set_aside

    chosen = next((known for known in WRITERS if known == format), None)
    if chosen is None:
        raise ConfigError(f"--format {format}: expected one of {', '.join(WRITERS)}")
    read = set_aside(read_survey(survey), min_confidence)
    folder = out or survey / "export"
    for path in export_survey(read, read_codes(codes), chosen, folder, locale=locale):
        typer.echo(path)
    if read.aside and chosen != "training":
        typer.echo(f"left out: {count_aside(read)}; --min-confidence 0 takes all", err=True)


import_ = typer.Typer(help="Take in what other programs have made.", no_args_is_help=True)
app.add_typer(import_, name="import")


@import_.callback()
def _import() -> None:
    """Take in what other programs have made."""


@import_.command("annotations")
def import_masks(
    survey: Annotated[Path, typer.Argument(help="A survey's folder, as 'inspect' writes it.")],
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="COCO, Label Studio or labelme JSON, PNG, a folder."),
    ],
    label: Annotated[
        list[str] | None, typer.Option(help="A label that is crack, where there are several.")
    ] = None,
    reject_empty: Annotated[
        bool, typer.Option("--reject-empty", help="A picture without a mask is of no crack.")
    ] = False,
    by: Annotated[str | None, typer.Option(help="Who has drawn; default: your user name.")] = None,
) -> None:
    """Take the masks of CVAT, Label Studio or labelme into a survey, and accept their records."""
    from scnet_edge.survey.exchange.annotations import import_annotations

    done = import_annotations(
        survey, path, labels=frozenset(label or ()), reject_empty=reject_empty, by=by
    )
    typer.echo(
        f"{len(done.corrected)} masks corrected, {len(done.same)} as they were, "
        f"{len(done.rejected)} records rejected"
    )
    for name in done.unknown:
        typer.echo(f"{name}: belongs to no record of this survey", err=True)


@app.command()
def compare(
    survey_a: Annotated[Path, typer.Argument(help="The earlier survey.")],
    survey_b: Annotated[Path, typer.Argument(help="The later survey of the same pipe or wall.")],
    tolerance_m: Annotated[
        float, typer.Option(min=0.001, help="Cracks found further apart than this are two.")
    ] = 0.2,
    offset_m: Annotated[
        float, typer.Option(help="Add this to the later chainages, if their zero lies elsewhere.")
    ] = 0.0,
    json: Annotated[Path | None, typer.Option(help="Write the comparison here as well.")] = None,
) -> None:
    """Compare two surveys by position: growth, cracks that appeared, cracks that vanished."""
    from rich.console import Console

    from scnet_edge.config import write_json
    from scnet_edge.survey.folder import read_survey
    from scnet_edge.survey.growth import compare_surveys

    before, after = read_survey(survey_a), read_survey(survey_b)
    found = compare_surveys(before, after, tolerance_m=tolerance_m, offset_m=offset_m)
    if json is not None:
        try:
            write_json(json, found)
        except OSError as e:
            raise InputError(f"{json}: cannot be written ({e.strerror})") from e
    if found.pairs:
        Console().print(_table(before, found))
    for label, numbers in (
        ("appeared, of the later survey", found.appeared),
        ("vanished, of the earlier survey", found.vanished),
        ("the later survey did not look at, of the earlier", found.not_seen[0]),
        ("the earlier survey did not look at, of the later", found.not_seen[1]),
    ):
        if numbers:
            typer.echo(f"{label}: {', '.join(map(str, numbers))}")
    grown = sum(pair.change == "grown" for pair in found.pairs)
    typer.echo(f"{len(found.pairs)} cracks in both, {grown} surely grown")


def _table(before: Survey, found: Comparison) -> Table:
    """Return one row per crack that is in both."""
    from rich.table import Table

    from scnet_edge.survey.report.words import clock_text, place_text, with_sigma

    records = {o.seq: o for o in before.observations}
    table = Table("before", "after", "place", "length", "width", "change", show_edge=False)
    for pair in found.pairs:
        record = records[pair.before]
        table.add_row(
            str(pair.before),
            str(pair.after),
            f"{place_text(record)}  {clock_text(record)}",
            with_sigma(pair.length_growth_mm, "mm"),
            with_sigma(pair.width_growth_mm, "mm"),
            pair.change,
        )
    return table


@app.command()
def review(
    survey: Annotated[Path, typer.Argument(help="A survey's folder, as 'inspect' writes it.")],
    number: Annotated[
        int | None, typer.Argument(help="The observation, as the report numbers it.")
    ] = None,
    verdict: Annotated[
        Literal["needs_review", "accepted", "rejected"] | None,
        typer.Option(help="What it is from now on; what is rejected counts in no rating."),
    ] = None,
    remarks: Annotated[str | None, typer.Option(help="What the report shall say of it.")] = None,
    by: Annotated[str | None, typer.Option(help="Who says so; default: your user name.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take back your last change.")] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Open a page for all records, until Ctrl-C.")
    ] = False,
    address: Annotated[
        str, typer.Option(help="HOST:PORT of the page; 0.0.0.0:8766 for a tablet.")
    ] = "127.0.0.1:8766",
    film: Annotated[
        Path | None, typer.Option(help="The film, if it is not where it was inspected.")
    ] = None,
    codes: Annotated[
        Path | None, typer.Option(help="A table of codes and limits of your own, TOML.")
    ] = None,
) -> None:
    """Accept or reject observations, and correct them; the next report and export have it."""
    from scnet_edge.survey.review import review_record, undo_review

    said = verdict is not None or remarks is not None
    if (number is not None and said) + undo + serve != 1 or (said and number is None):
        raise ConfigError(
            "expected NUMBER with --verdict or --remarks, or --undo, or --serve, and one of them"
        )
    if serve:
        return _serve(survey, address, film, codes, by)
    if number is None:
        now = undo_review(survey, by=by)
    else:
        now = review_record(survey, number, verdict=verdict, remarks=remarks, by=by)
    typer.echo(f"{now.seq}: {now.review}{', with remarks' if now.remarks else ''}")


def _serve(
    survey: Path, address: str, film: Path | None, codes: Path | None, by: str | None
) -> None:
    import threading

    from scnet_edge.robot.monitoring import stop_on_signals
    from scnet_edge.survey.codes import read_codes
    from scnet_edge.survey.review import name_reviewer

    try:
        from scnet_edge.survey.review_page.app import serve_review
    except ModuleNotFoundError as e:
        raise ConfigError(f"the page needs the package {e.name}; {install_extra('live')}") from e
    table, stop = read_codes(codes), threading.Event()
    found = _film(survey, film)
    with (
        stop_on_signals(stop),
        serve_review(survey, address, table, by=name_reviewer(by), film=found) as served,
    ):
        typer.echo(f"review on {served.url}")
        if found is None:
            typer.echo("the film is not at hand; --film FILE shows it", err=True)
        while not stop.wait(1.0):  # a signal that another thread got does not wake this one
            pass


def _film(survey: Path, film: Path | None) -> FilmFile | None:
    """Return the film that was named, else the one that the survey was made of."""
    from scnet_edge.survey.folder import read_survey
    from scnet_edge.survey.review_page.film import find_film, open_film_file

    if film is not None:
        return open_film_file(film)
    facts = read_survey(survey).facts
    return find_film(facts.source, _films_root(survey.absolute()))


def _films_root(survey: Path) -> Path:
    """Return what a survey's source is relative to: an archive's films, else here."""
    results = survey.parents[2] if len(survey.parents) > 2 else survey
    if not (results / "archive.json").is_file():
        return Path()
    from scnet_edge.archive.folder import FACTS, Job
    from scnet_edge.config import read_json

    return Path(read_json(results / FACTS, Job).root)
