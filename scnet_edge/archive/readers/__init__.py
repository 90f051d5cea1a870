"""Databases of the human inspection: which format a file is, and what it says.

What is read comes from strangers: sizes are checked before anything is allocated, XML has no
entities, SQLite is opened read-only, and a file that is damaged is one line, never a traceback.
"""

from __future__ import annotations

import re
from pathlib import Path

from scnet_edge.archive.coding import CodedInspection
from scnet_edge.archive.readers.ibak import read_ibak
from scnet_edge.archive.readers.isybau import ROOT, read_isybau
from scnet_edge.archive.readers.m150 import MANHOLE, PIPE, read_m150
from scnet_edge.archive.readers.pacp import read_pacp_access, read_pacp_csv
from scnet_edge.archive.readers.values import name_of, read_xml
from scnet_edge.archive.readers.wincan import read_wincan
from scnet_edge.errors import InputError

DATABASES = {".db3", ".mdb", ".accdb", ".xml"}
PACP_HEAD = re.compile(r"(pacp[_ ])?inspections\.csv", re.IGNORECASE)
IBAK_NAME = re.compile(r"daten.*\.txt", re.IGNORECASE)
COMPANION = re.compile(r".*_meta\.db3", re.IGNORECASE)
NO_READER = {
    ".sdf": "SQL Server Compact, which nothing on Linux reads; export it from WinCan as .db3",
    ".fdb": "a Firebird database, which is not read; export DWA-M 150 or ISYBAU XML",
    ".ipf": "an IKAS file, which is not read; export DWA-M 150 or ISYBAU XML",
}


def is_database(name: str) -> bool:
    """Return whether a file's name is one of a database that may be read."""
    if COMPANION.fullmatch(name):
        return False
    suffix = Path(name).suffix.lower()
    return suffix in DATABASES or bool(PACP_HEAD.fullmatch(name) or IBAK_NAME.fullmatch(name))


def read_inspections(path: Path) -> list[CodedInspection] | None:
    """Return what a database says; None for XML of something else.

    Raises:
        InputError: one line, without the path: damaged, too large, of a kind nobody reads here.
    """
    suffix = path.suffix.lower()
    if suffix == ".db3":
        return read_wincan(path)
    if suffix in (".mdb", ".accdb"):
        return read_pacp_access(path)
    if suffix == ".csv":
        return read_pacp_csv(path)
    if suffix == ".txt":
        return read_ibak(path)
    if suffix != ".xml":
        raise InputError(f"{suffix or 'no suffix'}: no reader for this kind of file")
    root = read_xml(path)
    if name_of(root) == ROOT:
        return read_isybau(root)
    if any(name_of(child) in (PIPE, MANHOLE) for child in root if isinstance(child.tag, str)):
        return read_m150(root)
    return None
