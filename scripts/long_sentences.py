"""Count the long sentences of the documents: python -m scripts.long_sentences [FILE...]

Code, tables, headings and link targets are left out; a list item is a sentence of its own. Exit
status 1 if more than 5 % of the sentences have more than 30 words.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_WORDS, MOST_SHARE = 30, 0.05
DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    "benchmarks/notes.md",
    "calibration/README.md",
    "export/README.md",
    "samples/README.md",
    "tests/README.md",
)


def documents() -> list[Path]:
    """Return the documents that people read, without those that a script writes."""
    named = [ROOT / name for name in DOCUMENTS]
    made = {"cli.md", "api.md", "robot-toml.md", "pipe-toml.md"}
    pages = [p for p in sorted((ROOT / "docs").rglob("*.md")) if p.name not in made]
    return named + pages


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a Markdown text."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"^(\|.*|#.*|    .*|!\[.*)$", "", text, flags=re.M)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"`[^`]*`", "X", text)
    for paragraph in re.split(r"\n\s*\n|\n\s*(?:[-*]|\d+\.) ", text):
        words = " ".join(paragraph.split())
        yield from (s for s in re.split(r"(?<=[.!?:;])\s+(?=[A-Z*`\[(X])", words) if s)


def long_share(paths: Sequence[Path]) -> tuple[float, list[str]]:
    """Return the share of sentences that are too long, and those."""
    every = [s for path in paths for s in sentences(path.read_text(encoding="utf-8"))]
    long = [s for s in every if len(s.split()) > MOST_WORDS]
    return len(long) / max(1, len(every)), long


def main() -> int:
    """Print the long sentences and their share."""
    share, long = long_share([Path(name) for name in sys.argv[1:]] or documents())
    for sentence in long:
        print(f"{len(sentence.split())} words: {sentence}")
    print(f"{100 * share:.1f} % of the sentences have more than {MOST_WORDS} words")
    return int(share > MOST_SHARE)


if __name__ == "__main__":
    sys.exit(main())
