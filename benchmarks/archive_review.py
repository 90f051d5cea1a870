"""The server of the review page: how long a page waits for 500 records, and for a verdict."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from msgspec.structs import replace

from scnet_edge.simulation.clip import render_clip
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record
from scnet_edge.survey.review_page.app import serve_review
from scnet_edge.web.server import Served

RECORDS, VERDICTS, SIZE_HW = 500, 60, (576, 720)


def measure_review(survey: Path, folder: Path) -> dict[str, Any]:
    """Return the seconds until all records are listed, and of a verdict until it is on the disk.

    Args:
        survey: any survey with a record, which is written 500 times over.
        folder: where, a new one.
    """
    whole = read_survey(survey)
    [(frame, mask)] = render_clip(1, SIZE_HW, seed=3)
    with Journal(folder, whole.facts) as journal:
        for seq in range(1, RECORDS + 1):
            one = whole.observations[seq % len(whole.observations)]
            again = replace(one, seq=seq, best_frame_id=seq, review="needs_review")
            record(journal, again, frame, mask)
    with serve_review(
        folder, "127.0.0.1:0", read_codes(), by="x", token_file=folder / "token"
    ) as page:
        start_s = time.monotonic()
        for path in ("/", "/app.css", "/app.js", "/stage.js", "/film.js", "/survey.json"):
            _ask(page, path)
        listed_s = time.monotonic() - start_s
        _ask(page, "/picture/1.jpg")
        verdicts_s = []
        for seq in range(1, VERDICTS + 1):
            start_s = time.monotonic()
            _ask(page, f"/review/{seq}", {"by": "x", "review": "accepted"})
            verdicts_s.append(time.monotonic() - start_s)
    return {
        "records": RECORDS,
        "listed_s": round(listed_s, 2),
        "verdict_s_median": round(median(verdicts_s), 3),
        "verdict_s_most": round(max(verdicts_s), 3),
    }


def _ask(page: Served, path: str, body: object = None) -> bytes:
    token = page.url.partition("token=")[2]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)) as connection:
        data = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, data, headers)
        answer = connection.getresponse()
        text = answer.read()
    assert answer.status == 200, text
    return text
