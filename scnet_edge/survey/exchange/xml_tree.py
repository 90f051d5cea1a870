"""XML elements in a prescribed order, from nested pairs; what the formats in XML share."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias
from xml.etree import ElementTree

from scnet_edge.files import write_file
from scnet_edge.survey.exchange.located import clean

Tree: TypeAlias = "list[tuple[str, str | Tree | None]]"


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
