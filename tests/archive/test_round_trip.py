"""What is exported of a survey is what the readers of human coding find in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hand_made import facts, observation

from scnet_edge.archive.readers import read_inspections
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.exchange import Format, export_survey
from scnet_edge.survey.facts import Progress
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("pacp-csv", "pacp/PACP_Inspections.csv"),
        ("isybau-xml", "isybau.xml"),
        ("m150-xml", "m150.xml"),
    ],
)
def test_an_export_is_read_back(tmp_path: Path, format: Format, name: str) -> None:
    limits = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
    with Journal(tmp_path / "survey", facts(), limits=limits) as journal:
        record(journal, observation(1), None, None)
        record(journal, observation(2, kind="multiple", end_m=6.6, clock_to=11.6), None, None)
        journal.commit(progress=Progress(frame_id=9, resume_frame_id=10, frames=10, chainage_m=9.0))
    export_survey(read_survey(tmp_path / "survey"), read_codes(), format, tmp_path)
    [inspection] = read_inspections(tmp_path / name) or []
    assert (inspection.pipe, inspection.from_node, inspection.to_node) == (
        "Section 12",
        "MH 1",
        "MH 2",
    )
    assert (inspection.date, inspection.direction, inspection.diameter_mm) == (
        "2026-11-20",
        "downstream",
        300.0,
    )
    codes = ["CL", "CM"] if format == "pacp-csv" else ["BAB B A", "BAB B C"]
    assert [c.code for c in inspection.conditions] == codes
    assert [(c.distance_m, c.end_m) for c in inspection.conditions] == [(1.0, None), (2.0, 6.6)]
    assert [c.clock_from for c in inspection.conditions] == [2.0, 2.0]
    assert [c.film_s for c in inspection.conditions] == [0.0, 0.0]
