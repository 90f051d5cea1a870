"""`scnet-edge explain`: what a model looks at in one image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scnet_edge.cli import app
from scnet_edge.folders import check_folder


@app.command()
def explain(
    model: Annotated[str, typer.Argument(help="A name of 'scnet-edge models', or a run.")],
    image: Annotated[Path, typer.Argument(help="One image.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.", show_default=False)],
) -> None:
    """Draw the maps of every scale, the attention maps and Grad-CAM of one image."""
    from scnet_edge.cli.subjects import crack_model
    from scnet_edge.data.pictures import read_image
    from scnet_edge.evaluation.explain import explain as explained
    from scnet_edge.evaluation.explain import write_explanation
    from scnet_edge.models.weights import open_prior, open_scnet

    check_folder(out)
    card, frame = crack_model(model), read_image(image)
    hed = open_prior(card)
    found = explained(open_scnet(card), hed, frame, threshold=card.threshold)
    paths = write_explanation(out, frame, found)
    sheets = [path.name for path in paths if path.name.startswith("sheet-")]
    print(f"{out}: {len(paths)} pictures; {', '.join(sheets)} show them together")
