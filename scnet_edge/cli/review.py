"""`scnet-edge review`: a person's word on what a survey has found, on a page or by number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scnet_edge.cli import app
from scnet_edge.errors import ConfigError, install_extra

if TYPE_CHECKING:
    from scnet_edge.survey.review_page.film import FilmFile


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
    from scnet_edge.survey.review import review as reviewed
    from scnet_edge.survey.review import undo as undone

    said = verdict is not None or remarks is not None
    if (number is not None and said) + undo + serve != 1 or (said and number is None):
        raise ConfigError(
            "expected NUMBER with --verdict or --remarks, or --undo, or --serve, and one of them"
        )
    if serve:
        return _serve(survey, address, film, codes, by)
    if number is None:
        now = undone(survey, by=by)
    else:
        now = reviewed(survey, number, verdict=verdict, remarks=remarks, by=by)
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
        stop.wait()


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
