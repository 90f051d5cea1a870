"""The files of a page, read once."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

INDEX = "index.html"
ICON = Path(__file__).with_name("icon.svg")


def asset_routes(folder: Path) -> list[BaseRoute]:
    """Return a route for every file of a page's folder, `/` for its `index.html`, and our icon."""
    files = [*sorted(path for path in folder.iterdir() if path.is_file()), ICON]
    return [Route("/" if f.name == INDEX else f"/{f.name}", _asset(f)) for f in files]


def _asset(path: Path) -> Callable[[Request], Response]:
    """Return what answers with a file of the page, read once: an answer opens none."""
    body, kind = path.read_bytes(), mimetypes.guess_type(path.name)[0]
    return lambda request: Response(body, media_type=kind)
