"""Pages that stand alone: nothing outside the file is asked for, so it can be mailed and archived.

A page is a template beside the code that fills it. What it is given is escaped, its style and its
script are put into it, and `| json` writes values for its script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import jinja2


def page_template(
    path: Path, *, style: Path | None = None, scripts: Sequence[Path] = ()
) -> jinja2.Template:
    """Return a template; it may use `style`, `script` and `script_hash`, for its security policy.

    Args:
        path: The template.
        style: A file of CSS.
        scripts: Files of JavaScript, which become one script in this order.
    """
    import jinja2  # a robot without a page to write starts without it
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
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
        "style": Markup("" if style is None else style.read_text(encoding="utf-8")),
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
    }
    return environment.get_template(path.name)


def _script_json(value: Any) -> str:
    """Return a value as JSON that may stand in a script element.

    A JSON string may hold anything, `</script>` too; escaped, it stays a string.
    """
    return msgspec.json.encode(value).decode().replace("<", "\\u003c")
