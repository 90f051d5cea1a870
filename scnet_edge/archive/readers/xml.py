"""XML from somebody else: bounded, without document types, entities or a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from lxml import etree

from scnet_edge.archive.readers.values import plain, read_bytes
from scnet_edge.errors import InputError

Element: TypeAlias = Any  # lxml has no types
MAX_NODES = 5_000_000  # elements and attributes; each takes some hundred bytes of memory


def read_xml(path: Path) -> Element:
    """Return the root of a file.

    Raises:
        InputError: too large, not XML, or with a document type of its own.
    """
    data = read_bytes(path)
    if (nodes := data.count(b"<") + data.count(b"=")) > MAX_NODES:
        raise InputError(f"XML of {nodes} tags and attributes, expected at most {MAX_NODES}")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as e:
        raise InputError(f"not well-formed XML ({e})") from e
    if root.getroottree().docinfo.doctype:
        raise InputError("XML with a document type, which no inspection format has; not read")
    return root


def name_of(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return str(etree.QName(element).localname)


def all_of(element: Element, path: str) -> Iterator[Element]:
    """Yield the elements at a path of names, in whatever namespace."""
    yield from element.iterfind("/".join(f"{{*}}{name}" for name in path.split("/")))


def text_at(element: Element, path: str) -> str:
    """Return the text of the first element at a path of names; empty where there is none."""
    found = element.find("/".join(f"{{*}}{name}" for name in path.split("/")))
    return "" if found is None else plain(found.text)
