"""Pages that stand alone: one style, one script, and no other script runs."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

FOLDER = Path(__file__).parent


def page_template(folder: Path, name: str) -> jinja2.Template:
    """Return a template that escapes what it is given, with the reports' style and script.

    Args:
        folder: where the template lies.
        name: its file name.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (FOLDER / "sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {
        "style": Markup((FOLDER / "report.css").read_text(encoding="utf-8")),
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
    }
    return environment.get_template(name)
