"""Make the documents that come from code and results: python -m scripts.write_docs [--check]

Reference pages are written whole. In README.md and the other pages, the tables between
`<!-- table: NAME -->` and `<!-- end -->` are made from the JSON files under benchmarks/results and
calibration.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from scripts import accuracy_tables, archive_tables, field_tables, speed_tables, study_tables
from scripts.reference_pages import PAGES
from scripts.tables import ROOT

SUBJECTS = (speed_tables, accuracy_tables, field_tables, archive_tables, study_tables)
TABLES = {name: make for subject in SUBJECTS for name, make in subject.TABLES.items()}
MARKED = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.S)


def make_documents() -> dict[Path, str]:
    """Return each document that holds something made, and what it should say."""
    made = {ROOT / path: make() for path, make in PAGES.items()}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        if path not in made:
            made[path] = fill(path.read_text(encoding="utf-8"))
    return made


def fill(text: str) -> str:
    """Return a page with the table of every marker made anew.

    Raises:
        KeyError: a marker names no table.
    """
    return MARKED.sub(lambda m: f"{m[1]}{TABLES[m[2]]()}\n{m[3]}", text)


def main() -> int:
    """Write what is out of date, or with --check only name it."""
    stale = [
        (path, text)
        for path, text in make_documents().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in stale:
        print(path.relative_to(ROOT))
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
