"""What the page of a reviewer asks: records, pictures, outlines, the film; and what it may say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Annotated, TypeAlias, TypeVar

import msgspec
import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from scnet_edge.config import NOT_JSON
from scnet_edge.errors import ScnetEdgeError, SurveyError
from scnet_edge.inspection.records import Kind, Observation, Opening, Review
from scnet_edge.survey.codes import Codes
from scnet_edge.survey.evidence import picture_path, read_crack_mask, read_picture
from scnet_edge.survey.folder import read_survey
from scnet_edge.survey.review import MOST_NAME, MOST_REMARKS, review_record, undo_review
from scnet_edge.survey.review_page.film import FilmFile, send_piece, send_still
from scnet_edge.survey.review_page.records import (
    Ring,
    describe_record,
    describe_survey,
    edit,
    trace_outline,
)
from scnet_edge.types import Mask
from scnet_edge.web.access import access_for, parse_address
from scnet_edge.web.guard import Rules
from scnet_edge.web.server import Served, asset_routes, serve

PAGE, DEFAULT_PORT = "review", 8766
ASSETS = Path(__file__).with_name("page")
RULES = Rules(writes=True, max_body_bytes=2**20)
T = TypeVar("T")
Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MOST_NAME)]
Remarks: TypeAlias = Annotated[str, msgspec.Meta(max_length=MOST_REMARKS)]


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says of a record; what is None stays as it is.

    Attributes:
        rings: the outline as it shall be, instead of the one that `/outline/SEQ.json` gave.
    """

    by: Name
    review: Review | None = None
    remarks: Remarks | None = None
    kind: Kind | None = None
    opening: Opening | None = None
    clock_h: tuple[float, float] | None = None
    rings: list[Ring] | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose last change is to be taken back."""

    by: Name


@dataclass(frozen=True, slots=True)
class ReviewedSurvey:
    """The survey of the page; those who write to it take turns."""

    folder: Path
    codes: Codes
    film: FilmFile | None
    by: str
    turn: Lock


@contextmanager
def serve_review(
    folder: Path,
    address: str,
    codes: Codes,
    *,
    by: str,
    film: FilmFile | None = None,
    token_file: Path | None = None,
) -> Iterator[Served]:
    """Serve the page of a survey until the context is left; everybody needs the token.

    Args:
        folder: the survey's.
        address: `HOST:PORT`; port 0 takes a free one.
        codes: the table that codes are suggested from.
        by: the reviewer's name until the page is told another.
        film: what the survey was made of, where it is at hand.
        token_file: where the token is, or will be; None for this user's own.

    Raises:
        SurveyError: no survey.
        ConfigError: no such address, in use, or the token file is not private.
    """
    read_survey(folder)
    where = parse_address(address, default_port=DEFAULT_PORT)
    access = access_for(where[0], PAGE, token_file, token_always=True)
    reviewed = ReviewedSurvey(folder, codes, film, by, Lock())
    with serve(where, make_app(reviewed), access, rules=RULES) as served:
        yield served


def make_app(reviewed: ReviewedSurvey) -> Starlette:
    """Return the application, which a guard has to stand around."""
    reads = {
        "/survey.json": _send_survey,
        "/picture/{seq}.jpg": _send_picture,
        "/outline/{seq}.json": _send_outline,
        "/film": _send_film,
        "/still.jpg": _send_still,
    }
    writes = {"/review/{seq}": _take_review, "/undo": _take_undo}
    return Starlette(
        routes=[
            *asset_routes(ASSETS),
            *(Route(path, partial(give, reviewed)) for path, give in reads.items()),
            *(
                Route(path, partial(take, reviewed), methods=["POST"])
                for path, take in writes.items()
            ),
        ],
        exception_handlers={ScnetEdgeError: _refuse},
    )


def _refuse(request: Request, error: Exception) -> Response:
    """Say what is wrong in one line: of the survey, or of what was said."""
    return PlainTextResponse(f"{error}\n", 409 if isinstance(error, SurveyError) else 422)


def _send_survey(reviewed: ReviewedSurvey, request: Request) -> Response:
    facts = describe_survey(read_survey(reviewed.folder), reviewed.codes)
    film = reviewed.film and {"kind": reviewed.film.kind, "length_s": reviewed.film.length_s}
    return _send_json(facts | {"film": film, "by": reviewed.by})


def _send_picture(reviewed: ReviewedSurvey, request: Request) -> Response:
    path = picture_path(reviewed.folder, _find(reviewed, _number(request)))
    if path is None:
        raise HTTPException(404, "No picture was kept.")
    return Response(path.read_bytes(), media_type="image/jpeg")


def _send_outline(reviewed: ReviewedSurvey, request: Request) -> Response:
    return _send_json(trace_outline(_read_mask(reviewed, _find(reviewed, _number(request)))))


def _send_film(reviewed: ReviewedSurvey, request: Request) -> Response:
    return send_piece(_require_film(reviewed), request)


def _send_still(reviewed: ReviewedSurvey, request: Request) -> Response:
    return send_still(_require_film(reviewed), request)


def _require_film(reviewed: ReviewedSurvey) -> FilmFile:
    if reviewed.film is None:
        raise HTTPException(404, "The film is not at hand.")
    return reviewed.film


async def _take_review(reviewed: ReviewedSurvey, request: Request) -> Response:
    said = _decode(await request.body(), Said)
    return await run_in_threadpool(_write_verdict, reviewed, _number(request), said)


async def _take_undo(reviewed: ReviewedSurvey, request: Request) -> Response:
    asked = _decode(await request.body(), Asked)
    return await run_in_threadpool(_write_undo, reviewed, asked)


def _write_verdict(reviewed: ReviewedSurvey, seq: int, said: Said) -> Response:
    with reviewed.turn:
        mask = None
        if said.rings is not None:
            mask = edit(_read_mask(reviewed, _find(reviewed, seq)), said.rings)
        review_record(
            reviewed.folder,
            seq,
            by=said.by,
            verdict=said.review,
            remarks=said.remarks,
            kind=said.kind,
            opening=said.opening,
            clock_h=said.clock_h,
            mask=mask,
        )
        return _send_record(reviewed, seq)


def _write_undo(reviewed: ReviewedSurvey, asked: Asked) -> Response:
    with reviewed.turn:
        return _send_record(reviewed, undo_review(reviewed.folder, by=asked.by).seq)


def _send_record(reviewed: ReviewedSurvey, seq: int) -> Response:
    return _send_json(describe_record(read_survey(reviewed.folder), seq, reviewed.codes))


def _number(request: Request) -> int:
    """Return the record that is asked for; no number of thousands of digits is one."""
    text = str(request.path_params["seq"])
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise HTTPException(404, "No such observation.")
    return int(text)


def _find(reviewed: ReviewedSurvey, seq: int) -> Observation:
    for one in read_survey(reviewed.folder).observations:
        if one.seq == seq:
            return one
    raise HTTPException(404, f"No observation {seq}.")


def _read_mask(reviewed: ReviewedSurvey, one: Observation) -> Mask:
    """Return the crack's mask; an empty one where none was kept beside the picture."""
    mask = read_crack_mask(reviewed.folder, one)
    if mask is not None:
        return mask
    picture = read_picture(reviewed.folder, one)
    if picture is None:
        raise HTTPException(404, "No picture was kept, so there is no outline.")
    return np.zeros(picture.shape[:2], np.bool_)


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except NOT_JSON as e:
        raise HTTPException(400, f"Expected what the page sends: {e}") from e


def _send_json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
