"""`scnet-edge statistics`: how many images, how rare cracks are (Table II of the paper)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.config import write_json
from scnet_edge.errors import ConfigError
from scnet_edge.folders import check_file


@app.command()
def statistics(
    data: Annotated[list[str] | None, typer.Option(help="NAME:DIR; again for more rows.")] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="A TOML file of data sets: a row for each, with its share.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, test or all.")] = "all",
    json: Annotated[Path | None, typer.Option(help="Write them here as well.")] = None,
) -> None:
    """Read every image and mask of data sets or of a corpus, and count."""
    from rich.console import Console
    from rich.table import Table

    from scnet_edge.cli.evaluate import parse_split
    from scnet_edge.data.augment import PAPER_AUGMENTATION
    from scnet_edge.data.corpus import read_corpus
    from scnet_edge.data.datasets import open_dataset
    from scnet_edge.data.statistics import count_samples

    if json:
        check_file(json)
    if bool(data) == (corpus is not None):
        raise ConfigError("expected --data or --corpus, found both or none; give one of the two")
    part = parse_split(split)
    read = read_corpus(corpus) if corpus else None
    sets = {each.name: each for each in read.sets} if read else {}
    samples = {spec: open_dataset(spec, part) for spec in data or ()}
    samples |= {name: each.samples(part) for name, each in sets.items()}
    rows = {
        name: count_samples(of, how=PAPER_AUGMENTATION, one_class=bool(sets))
        for name, of in samples.items()
    }
    table = Table()
    titles = ("data", "images", "cracked", "crack %", "background %", "crack % of 256 crops")
    some_ignored = any(row.ignored_percent for row in rows.values())
    more = (*(("ignored %",) if some_ignored else ()), *(("share", "licence") if sets else ()))
    for title in (*titles, *more):
        table.add_column(title)
    for name, row in rows.items():
        percents = [row.crack_percent, row.background_percent, row.crop_crack_percent]
        percents += [row.ignored_percent] if some_ignored else []
        cells = [name, str(row.images), str(row.cracked), *(f"{x:.2f}" for x in percents)]
        if name in sets:
            cells += [f"{sets[name].share:g}", sets[name].licence]
        table.add_row(*cells)
    Console().print(table)
    if json:
        write_json(json, rows)
