"""The server of the review page over real sockets: what it tells, takes, and refuses."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from films import walls, write_film
from hand_made import HOSTILE, facts, observation, picture

from scnet_edge.errors import SurveyError
from scnet_edge.survey.codes import read_codes
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.evidence import read_crack_mask
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.journal import Journal, lock_survey
from scnet_edge.survey.recorder import record
from scnet_edge.survey.review_page.app import serve_review
from scnet_edge.survey.review_page.film import PIECE_BYTES, FilmFile, find_film
from scnet_edge.web.server import Served

SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
CONFIDENCES = (0.98, 0.62, 0.45)


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    folder = tmp_path / "survey"
    with Journal(folder, facts(), limits=SMALL) as journal:
        for seq, confidence in enumerate(CONFIDENCES, 1):
            record(journal, observation(seq, confidence=confidence), *picture(seq))
    return folder


@pytest.fixture
def film(tmp_path: Path) -> FilmFile:
    path = tmp_path / "film.mp4"
    write_film(path, walls(50), fps=25)
    found = find_film(path.name, tmp_path)
    assert found is not None
    return found


class Page:
    """A page that has shown the token."""

    def __init__(self, served: Served) -> None:
        self.port, self.token = served.port, served.url.partition("token=")[2]
        _, headers, _ = self.ask(f"/?token={self.token}", cookie="")
        self.cookie = headers["set-cookie"].partition(";")[0]

    def ask(
        self, path: str, body: object = None, cookie: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = {"Cookie": self.cookie if cookie is None else cookie}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data is not None:
            origin = f"http://127.0.0.1:{self.port}"
            sent |= {"Content-Type": "application/json", "Origin": origin}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in sent.items() if value}
        with closing(connection):
            connection.request("GET" if data is None else "POST", path, data, kept)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def told(self, path: str, body: object = None) -> Any:
        status, _, answer = self.ask(path, body)
        assert status == 200, answer
        return json.loads(answer)


@pytest.fixture
def page(survey: Path, film: FilmFile, tmp_path: Path) -> Iterator[Page]:
    token = tmp_path / "token"
    codes = read_codes()
    with serve_review(
        survey, "127.0.0.1:0", codes, by="ada", film=film, token_file=token
    ) as served:
        yield Page(served)


def test_the_least_certain_record_comes_first(page: Page) -> None:
    told = page.told("/survey.json")
    assert [one["seq"] for one in told["records"]] == [2, 3, 1]
    assert (told["title"], told["place"], told["by"]) == ("Section 12", "MH 1 → MH 2", "ada")
    first = told["records"][0]
    assert (first["codes"], first["opening"]) == (["CL", "BAB B A"], "crack")
    assert told["records"][1]["aside"] == "unsure"
    assert len(told["choices"]) == 12


def test_a_picture_is_the_survey_s_own_file(page: Page, survey: Path) -> None:
    assert page.ask("/picture/1.jpg")[2] == (survey / "snapshots" / "000001.jpg").read_bytes()
    assert page.ask("/picture/9.jpg")[0] == 404
    assert page.ask("/picture/..%2f..%2fsurvey.db.jpg")[0] == 404


def test_a_verdict_is_on_the_disk_when_it_is_answered(page: Page, survey: Path) -> None:
    told = page.told("/review/2", {"by": "ada", "review": "accepted", "remarks": HOSTILE})
    [_, now, _] = read_survey(survey).observations
    assert (now.review, now.remarks, now.reviewed_by) == ("accepted", HOSTILE, "ada")
    assert (told["review"], told["utc"]) == ("accepted", now.reviewed_utc)
    corrected = {"by": "ada", "kind": "spiral", "opening": "open", "clock_h": [3, 3.5]}
    assert page.told("/review/2", corrected)["codes"] == ["FS", "BAB C D"]
    assert page.told("/undo", {"by": "ada"})["codes"] == ["CL", "BAB B A"]
    assert read_survey(survey).observations[1] == now


def test_an_outline_that_was_moved_moves_the_mask_there_alone(page: Page, survey: Path) -> None:
    before = read_crack_mask(survey, read_survey(survey).observations[0])
    rings = page.told("/outline/1.json")
    page.told("/review/1", {"by": "ada", "rings": rings})
    assert np.array_equal(read_crack_mask(survey, read_survey(survey).observations[0]), before)
    square = [[100.0, 5.0], [120.0, 5.0], [120.0, 15.0], [100.0, 15.0]]
    page.told("/review/1", {"by": "ada", "rings": [*rings, square]})
    [now, _, _] = read_survey(survey).observations
    expected = before.copy()
    expected[5:16, 100:121] = True  # the ring's own pixels are inside
    assert np.array_equal(read_crack_mask(survey, now), expected)
    assert (now.review, now.flags) == ("accepted", ("mask_corrected",))


def test_the_film_comes_in_pieces(page: Page, film: FilmFile) -> None:
    data = film.path.read_bytes()
    assert film.kind.startswith("video/mp4")
    status, headers, piece = page.ask("/film", Range="bytes=10-19")
    assert (status, piece) == (206, data[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(data)}"
    assert page.ask("/film", Range="bytes=-5")[2] == data[-5:]
    assert page.ask("/film", Range="bytes=0-")[2] == data[:PIECE_BYTES]
    for wrong in (f"bytes={len(data)}-", "bytes=9-3", "bytes=-", "bytes=x", "lines=1-2"):
        assert page.ask("/film", Range=wrong)[0] == 416


def test_a_still_is_the_picture_at_that_time(page: Page) -> None:
    status, _, jpeg = page.ask("/still.jpg?t=1.2")
    shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
    off = [float(np.abs(shown - wall).mean()) for wall in walls(50)]
    assert (status, int(np.argmin(off))) == (200, 30)
    assert page.ask("/still.jpg?t=1e9")[0] == 400
    assert page.ask("/still.jpg")[0] == 400


@pytest.mark.parametrize(
    ("path", "body", "headers", "expected"),
    [
        ("/review/1", {"by": "a", "review": "accepted"}, {"Origin": "http://evil.example"}, 403),
        ("/review/1", {"by": "a", "review": "accepted"}, {"Origin": ""}, 403),
        ("/review/1", {"by": "a", "review": "accepted"}, {"Content_Type": "text/plain"}, 415),
        ("/review/1", {"by": "a", "review": "accepted"}, {"Host": "evil.example"}, 421),
        ("/review/1", {"by": "a", "review": "accepted"}, {"cookie": "none"}, 401),
        ("/review/1", {"by": "a", "review": "maybe"}, {}, 400),
        ("/review/1", {"by": "a", "seq": 2}, {}, 400),
        ("/review/1", {"review": "accepted"}, {}, 400),
        ("/review/1", {"by": "", "review": "accepted"}, {}, 400),
        ("/review/1", {"by": "a\nb", "review": "accepted"}, {}, 422),
        ("/review/1", {"by": "a", "clock_h": [1, 12]}, {}, 422),
        ("/review/1", {"by": "a", "rings": []}, {}, 422),
        ("/review/1", {"by": "a", "rings": [[[0, 0], [500, 0], [0, 9]]]}, {}, 422),
        ("/review/1", {"by": "a", "rings": [[[0, 0]]] * 3000}, {}, 422),
        ("/review/9", {"by": "a", "review": "accepted"}, {}, 409),
        ("/review/" + "9" * 20, {"by": "a", "review": "accepted"}, {}, 404),
        ("/review/" + "9" * 5000, {"by": "a", "review": "accepted"}, {}, 404),
        ("/picture/" + "9" * 5000 + ".jpg", None, {}, 404),
        ("/review/1", b"{", {}, 400),
        ("/review/1", b"{}", {"Content_Length": "1100000"}, 413),
        ("/undo", {"by": "a"}, {}, 409),
        ("/survey.json", {}, {}, 405),
    ],
)
def test_what_is_refused_changes_nothing(
    page: Page,
    survey: Path,
    caplog: pytest.LogCaptureFixture,
    path: str,
    body: object,
    headers: dict[str, str],
    expected: int,
) -> None:
    before = read_survey(survey)
    assert page.ask(path, body, **headers)[0] == expected
    assert read_survey(survey) == before
    assert caplog.records == []


def test_nobody_reads_or_writes_without_the_token_not_even_here(page: Page) -> None:
    for path in ("/", "/survey.json", "/picture/1.jpg", "/film"):
        assert page.ask(path, cookie="")[0] == 401
    told = page.ask("/review/1", {"by": "a"}, cookie="", Authorization=f"Bearer {page.token}")
    assert told[0] == 200


def test_a_survey_that_is_being_written_says_so(page: Page, survey: Path) -> None:
    with lock_survey(survey):
        status, _, answer = page.ask("/review/1", {"by": "a", "review": "accepted"})
    assert status == 409
    assert b"another process is writing this survey" in answer
    assert page.ask("/review/1", {"by": "a", "review": "accepted"})[0] == 200


def test_there_is_no_page_of_no_survey(tmp_path: Path) -> None:
    with (
        pytest.raises(SurveyError, match="no survey here"),
        serve_review(tmp_path, "127.0.0.1:0", read_codes(), by="a"),
    ):
        pass
