"""What the formats for pipes share: only what has a chainage, clocks in whole hours, clean XML."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TypeAlias
from xml.etree import ElementTree

from scnet_edge.errors import InputError
from scnet_edge.files import write_file
from scnet_edge.inspection.records import Observation
from scnet_edge.survey.folder import Survey
from scnet_edge.survey.report.words import with_sigma

# What XML 1.0 cannot hold, not even escaped.
UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

logger = logging.getLogger(__name__)
Tree: TypeAlias = "list[tuple[str, str | Tree | None]]"


def with_chainage(survey: Survey, format: str) -> list[Observation]:
    """Return the observations with a chainage that nobody has rejected, in their order along it.

    Raises:
        InputError: there are observations, but none has a chainage.
    """
    placed = [o for o in survey.observations if o.start_m is not None]
    missing = len(survey.observations) - len(placed)
    if missing and not placed:
        raise InputError(
            f"{survey.folder}: {format} needs a chainage, found none; inspect with --odometry, "
            "or export as csv or json"
        )
    if missing:
        logger.warning("%s: %d observations without a chainage left out", survey.folder, missing)
    accepted = [o for o in placed if o.review != "rejected"]
    return sorted(accepted, key=lambda o: (o.segment, o.start_m or 0.0))


def station_m(survey: Survey, chainage_m: float | None) -> float:
    """Return a chainage within what was surveyed, to a centimetre."""
    return round(min(chainage_m or 0.0, survey.length_m or 0.0), 2)


def hour(clock_h: float) -> int:
    """Return a clock position as a whole hour, 1 to 12."""
    return round(clock_h) % 12 or 12


def comment(observation: Observation) -> str:
    """Return what a code cannot say: the width, its uncertainty, and that it is a suggestion."""
    width = observation.width_p95_mm
    size = f"{observation.width_p95_px:.1f} px" if width is None else with_sigma(width, "mm")
    state = {"needs_review": "suggested, to be reviewed", "accepted": "reviewed"}
    text = f"width {size} (95th percentile), {state[observation.review]}"
    return clean(f"{text}; {observation.remarks}" if observation.remarks else text)


def clean(text: str) -> str:
    """Return text without the characters that no XML can hold."""
    return UNWRITABLE.sub("", text)


def video_time(observation: Observation) -> str:
    """Return when in the video, `HH:MM:SS`; empty where there is none."""
    if observation.time_s is None:
        return ""
    seconds = int(observation.time_s)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def write_tree(path: Path, root: ElementTree.Element, children: Tree) -> None:
    """Write a file in Latin-1, in which these formats are mostly read; the rest is escaped."""
    grow(root, children)
    ElementTree.indent(root)
    write_file(path, ElementTree.tostring(root, encoding="iso-8859-1", xml_declaration=True))


def grow(parent: ElementTree.Element, children: Tree) -> None:
    """Add elements in the order given, which the format prescribes; None and empty are left out."""
    for name, content in children:
        if content is None or content in ("", []):
            continue
        child = ElementTree.SubElement(parent, name)
        if isinstance(content, str):
            child.text = clean(content)
        else:
            grow(child, content)
