"""What a person says of a record: the only change that one may ever see."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
from msgspec.structs import replace

from scnet_edge.errors import SurveyError
from scnet_edge.inspection.records import Observation, Review
from scnet_edge.survey.database import connect
from scnet_edge.survey.evidence import write_sidecar
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import JOURNAL, lock_survey


def review(
    folder: Path, seq: int, *, verdict: Review | None = None, remarks: str | None = None
) -> Observation:
    """Record a verdict and remarks on an observation, durably, and return it as it is now.

    Args:
        folder: the survey's, which nobody may be writing.
        seq: the number of the observation.
        verdict: None leaves the old one.
        remarks: None leaves the old ones.

    Raises:
        SurveyError: no survey, none with this number, or a survey that is being written.
    """
    found = {o.seq: o for o in read_survey(folder).observations}
    if seq not in found:
        raise SurveyError(f"{folder}: no observation {seq}, expected one of 1 to {len(found)}")
    old = found[seq]
    new = replace(
        old,
        review=old.review if verdict is None else verdict,
        remarks=old.remarks if remarks is None else remarks,
    )
    with closing(lock_survey(folder)), closing(connect(folder / JOURNAL)) as db:
        record = msgspec.json.encode(new).decode()
        db.execute("UPDATE observation SET record = ? WHERE seq = ?", (record, seq))
        write_sidecar(folder, new)
    return new
