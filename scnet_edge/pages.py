"""Pages that stand alone: nothing outside the file is asked for, so it can be mailed and archived.

A page is a template beside the code that fills it, and extends `web/base.html`. What it is given is
escaped; the style of all pages, its own, and its script are put into it. A value named `data` is
there for its script, as JSON.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import msgspec
import numpy.typing as npt

if TYPE_CHECKING:
    import jinja2

SHARED = Path(__file__).with_name("web")
STYLE = SHARED / "base.css"


def page_template(path: Path, *, style: Path, scripts: Sequence[Path] = ()) -> jinja2.Template:
    """Return the template of a page.

    Args:
        path: The template.
        style: A file of CSS, after that of all pages.
        scripts: Files of JavaScript, which become one script in this order.
    """
    import jinja2  # a robot without a page to write starts without it
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([path.parent, SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    script = "".join(each.read_text(encoding="utf-8") for each in scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.filters["json"] = lambda value: Markup(_script_json(value))
    environment.globals |= {
        "style": Markup("".join(p.read_text(encoding="utf-8") for p in (STYLE, style))),
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
    }
    return environment.get_template(path.name)


def jpeg_address(image: npt.NDArray[Any], quality: int) -> str:
    """Return a picture, (h, w) or (h, w, 3) BGR uint8, as a `data:` address of a JPEG."""
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _script_json(value: Any) -> str:
    """Return a value as JSON that may stand in a script element.

    A JSON string may hold anything, `</script>` too; escaped, it stays a string.
    """
    return msgspec.json.encode(value).decode().replace("<", "\\u003c")
