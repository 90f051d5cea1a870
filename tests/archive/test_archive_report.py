"""The pages over an archive made by hand: what a manager reads, and what harms nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hand_made import HOSTILE, facts, observation, picture, unscaled
from lxml import html

from scnet_edge.archive.agreement import compare_archive, totals, write_confirmed
from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.folder import Done, Job, film_folder, mark_done, open_archive
from scnet_edge.archive.likeness import Tolerances
from scnet_edge.archive.manifest import ArchiveManifest, ManifestRow, write_manifest
from scnet_edge.archive.report import write_report
from scnet_edge.data.corpus import read_corpus
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.inspection.records import Figure, Observation
from scnet_edge.survey.codes import find_limit, read_codes
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.facts import Progress
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record

CODES = read_codes()
SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)


def row(name: str, conditions: tuple[Condition, ...] = (), **more: Any) -> ManifestRow:
    coded = CodedInspection(system="m150", pipe=name, date="2024-05-01", conditions=conditions)
    values: dict[str, Any] = {"inspection": coded, "state": "matched", "database": "a.xml"}
    path = f"Video/{name}.mpg".encode()
    return ManifestRow(path_bytes=path, kind="film", **{**values, **more})


def inspected(
    archive: Path, film: ManifestRow, *found: Observation, length_m: float | None = 20.0
) -> None:
    with Journal(film_folder(archive, film) / "survey", facts(), limits=SMALL) as journal:
        for o in found:
            record(journal, o, *picture(o.seq))
        progress = Progress(
            frame_id=99, resume_frame_id=100, frames=100, chainage_m=20.0, finished=True
        )
        journal.commit(progress=progress)
    done = Done(
        film=film.film_id, path=film.path, state="inspected", cracks=len(found), length_m=length_m
    )
    mark_done(archive, film, done)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    photo = Condition(code="BAB B A", distance_m=15.0, film_s=70.0, pictures=("P\\x 1.jpg",))
    bad = row("P-bad", (Condition(code="BAB B A", distance_m=1.1), photo))
    films = [
        row("P-good"),
        bad,
        row(HOSTILE),
        row("P-lost"),
        row("P-two", state="claimed", inspection=None, reason="claimed by a and by b"),
    ]
    others = [
        ManifestRow(path_bytes=b"cut.mp4", kind="film", state="unreadable", reason="no index"),
        row("P-gone", state="missing", reason="not in the archive"),
        ManifestRow(path_bytes=b"P/x 1.jpg", kind="picture", state="matched", size_bytes=1),
    ]
    manifest = ArchiveManifest(root=tmp_path / "films", rows=(*films, *others))
    write_manifest(tmp_path / "a.parquet", manifest)
    out = tmp_path / "out"
    job = Job(root=str(tmp_path / "films"), bundle="b", sha256="ab" * 32)
    open_archive(out, tmp_path / "a.parquet", job)
    inspected(out, films[0])
    wide = observation(1, width_p95_mm=Figure(9.0, 0.1))
    inspected(out, films[1], wide, observation(2))
    inspected(out, films[2], observation(1, remarks=HOSTILE))
    lost = Done(film=films[3].film_id, path=films[3].path, state="failed", reason="no frame")
    mark_done(out, films[3], lost)
    return out


def test_the_worst_pipe_is_first_and_opens_its_report(archive: Path) -> None:
    path = write_report(archive, CODES, "concrete-0.3", find_limit(CODES, "concrete-0.3"))
    page = html.fromstring(path.read_text(encoding="utf-8"))
    rows = page.xpath("//table[@class='sorted']/tbody/tr")
    names = [r.xpath("string(td[1]/a)") for r in rows]
    assert names == ["P-bad", HOSTILE, "P-good"]
    for link in page.xpath("//table[@class='sorted']//a/@href"):
        assert "Crack inspection" in (archive / link).read_text(encoding="utf-8")
    text = page.text_content()
    assert "3 of 6" in text
    assert "1 still waiting" in text
    for reason in ("no frame", "no index", "not in the archive", "claimed by a and by b"):
        assert reason in text
    assert not re.search(r"<script>alert", path.read_text(encoding="utf-8"))
    assert "src=" not in path.read_text(encoding="utf-8")  # all of it is in the one file


def test_a_report_that_is_up_to_date_is_left_as_it_is(archive: Path) -> None:
    limit = find_limit(CODES, "concrete-0.3")
    write_report(archive, CODES, "concrete-0.3", limit)
    reports = sorted(archive.glob("films/*/report.html"))
    assert len(reports) == 3
    before = {path: path.stat().st_ino for path in reports}
    write_report(archive, CODES, "concrete-0.3", limit)
    assert {path: path.stat().st_ino for path in reports} == before
    write_report(archive, CODES, "water-0.1", find_limit(CODES, "water-0.1"))
    assert not any(path.stat().st_ino == inode for path, inode in before.items())


def test_the_comparison_shows_both_sides_and_says_what_is_left_out(archive: Path) -> None:
    agreements, left = compare_archive(archive, Tolerances())
    counts, score = totals(agreements)
    assert counts == {"agrees": 1, "only ours": 2, "only theirs": 1}
    assert score == {"precision": 1 / 3, "recall": 1 / 2}
    assert left == {"not inspected": 2}
    write_report(archive, CODES, "concrete-0.3", find_limit(CODES, "concrete-0.3"))
    page = html.fromstring((archive / "compare.html").read_text(encoding="utf-8"))
    pictures = page.xpath("//img/@src")
    ours = [p for p in pictures if "snapshots" in p]
    assert len(ours) == 2
    assert all((archive / p).is_file() for p in ours)
    assert [p for p in pictures if p not in ours] == ["../films/P/x%201.jpg"]
    assert "at most 0.5 m apart" in page.text_content()
    [*frames] = page.xpath("//img[contains(@src, 'snapshots')]/following-sibling::i/@style")
    height, width = cv2.imread(str(archive / ours[0])).shape[:2]
    only_ours = [p.ours for a in agreements for p in a.pairings if p.verdict == "only ours"]
    boxes = [o.bbox_xyxy for o in only_ours if o]
    shown = [[float(part.split(": ")[1].rstrip("%")) for part in f.split("; ")] for f in frames]
    assert shown == [
        pytest.approx(
            [
                100 * x0 / width,
                100 * y0 / height,
                100 * (x1 - x0) / width,
                100 * (y1 - y0) / height,
            ],
            abs=0.06,
        )
        for x0, y0, x1, y1 in boxes
    ]


def test_columns_that_nobody_filled_are_left_out_and_cracks_come_first(archive: Path) -> None:
    write_report(archive, CODES, "concrete-0.3", find_limit(CODES, "concrete-0.3"))
    page = html.fromstring((archive / "index.html").read_text(encoding="utf-8"))
    heads = [head.text_content() for head in page.xpath("//table[contains(@class, 'sorted')]//th")]
    assert heads[:2] == ["Pipe", "Cracks"]
    assert heads[-1] == "Date"
    assert not [head for head in heads if head.startswith(("From", "Size"))]
    rows = page.xpath("//table[contains(@class, 'sorted')]/tbody/tr")
    assert {len(row.xpath("./td")) for row in rows} == {len(heads)}


def test_films_without_a_coding_have_neither_length_nor_date_nor_millimetres(
    tmp_path: Path,
) -> None:
    film = row("a", inspection=None, state="alone")
    write_manifest(tmp_path / "a.parquet", ArchiveManifest(root=tmp_path, rows=(film,)))
    job = Job(root=str(tmp_path), bundle="b", sha256="ab" * 32)
    open_archive(tmp_path / "out", tmp_path / "a.parquet", job)
    inspected(tmp_path / "out", film, unscaled(1), length_m=None)
    path = write_report(tmp_path / "out", CODES, "concrete-0.3", find_limit(CODES, "concrete-0.3"))
    page = html.fromstring(path.read_text(encoding="utf-8"))
    [table] = page.xpath("//table[contains(@class, 'sorted')]")
    assert table.xpath(".//th/button/text()") == ["Pipe", "Cracks", "Widest", "Quick rating"]
    assert len(table.xpath("./tbody/tr/td")) == 4
    assert "Sorted by the pipe rating of" in page.text_content()


def test_what_both_have_seen_is_a_corpus_and_what_we_missed_only_scores(
    archive: Path, tmp_path: Path
) -> None:
    (archive.parent / "films" / "P").mkdir(parents=True)
    (archive.parent / "films" / "P" / "x 1.jpg").write_bytes(b"a photograph")
    agreements, _ = compare_archive(archive, Tolerances())
    assert write_confirmed(tmp_path / "learn", archive, agreements) == (1, 1)
    corpus = read_corpus(tmp_path / "learn" / "corpus.toml")
    confirmed, missed = corpus.sets
    [sample] = confirmed.samples("all")
    [pairing] = [p for a in agreements for p in a.pairings if p.verdict == "agrees"]
    assert pairing.ours is not None
    assert np.array_equal(sample.read_mask(), picture(pairing.ours.seq)[1])
    assert missed.share == 0
    [photo] = missed.samples("all")
    assert photo.image.read_bytes() == (archive.parent / "films" / "P" / "x 1.jpg").read_bytes()


def test_a_photograph_without_end_is_not_copied(archive: Path, tmp_path: Path) -> None:
    (archive.parent / "films" / "P").mkdir(parents=True)
    (archive.parent / "films" / "P" / "x 1.jpg").symlink_to("/dev/zero")
    agreements, _ = compare_archive(archive, Tolerances())
    with pytest.raises(ConfigError, match="expected a plain file"):
        write_confirmed(tmp_path / "learn", archive, agreements)


def test_the_commands(archive: Path, command_line: Callable[..., Any], tmp_path: Path) -> None:
    done = command_line("archive", "status", str(archive))
    assert done.returncode == 0, done.stderr
    assert "3  inspected" in done.stdout
    assert "1  x no index" in done.stdout
    out = tmp_path / "c.json"
    done = command_line("archive", "compare", str(archive), "--clock", "6", "--json", str(out))
    assert done.returncode == 0, done.stderr
    assert "33.3 %  precision" in done.stdout
    assert json.loads(out.read_text(encoding="utf-8"))["tolerances"]["clock_h"] == 6


def test_a_scan_prints_what_there_is(command_line: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.mpg").write_bytes(b"\0\0\1\xba")
    (tmp_path / "a" / "2.mpg").write_bytes(b"")
    done = command_line(
        "archive", "scan", str(tmp_path / "a"), "--out", str(tmp_path / "m.parquet")
    )
    assert done.returncode == 0, done.stderr
    assert "1  film alone" in done.stdout
    assert "film 2.mpg: an empty file" in done.stderr


def test_a_scan_prints_what_is_to_be_mended_before_what_is_missing(
    command_line: Callable[..., Any], tmp_path: Path
) -> None:
    named = "".join(
        f"<HG><HG001>{i}</HG001><HI><HI116>{i}.mpg</HI116></HI></HG>" for i in range(30)
    )
    (tmp_path / "job.xml").write_text(f"<DATA>{named}</DATA>", encoding="utf-8")
    (tmp_path / "zz.mpg").write_bytes(b"")
    out = str(tmp_path / "m.parquet")
    said = command_line("archive", "scan", str(tmp_path), "--out", out).stderr.splitlines()
    assert said[0] == "film zz.mpg: an empty file"
    assert said[-1] == "... and 22 more missing, each with its reason"


def test_a_folder_without_an_archive_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no archive here"):
        compare_archive(tmp_path, Tolerances())
