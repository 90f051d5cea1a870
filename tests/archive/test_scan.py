"""Every file of a made archive is accounted for, whatever it is called and however broken."""

from __future__ import annotations

import os
import random
from pathlib import Path

import coded_files
import pyarrow.parquet as pq
import pytest

from scnet_edge.archive.coding import CodedInspection, Condition
from scnet_edge.archive.manifest import ArchiveManifest, ManifestRow, read_manifest, write_manifest
from scnet_edge.archive.match import same_inspection
from scnet_edge.archive.media import Media, decode_path
from scnet_edge.archive.scan import container_of, scan, summary
from scnet_edge.errors import InputError

MPEG = b"\x00\x00\x01\xba" + bytes(100)


def put(path: Path, data: bytes = MPEG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def rows(manifest: ArchiveManifest) -> dict[str, ManifestRow]:
    return {row.path: row for row in manifest.rows}


def test_each_name_of_a_path_is_decoded_by_itself() -> None:
    """A folder from one disk, a file in it from another."""
    assert decode_path("Süd/".encode() + "Straße 7.avi".encode("latin-1")) == "Süd/Straße 7.avi"
    media = Media.of([b"S\xfcd/P/1.jpg", b"Nord/P/1.jpg"])
    assert media.find("P\\1.jpg", "Süd/job.db3".encode()) == [b"S\xfcd/P/1.jpg"]


def test_films_pictures_and_databases_find_each_other(tmp_path: Path) -> None:
    (tmp_path / "job" / "DB").mkdir(parents=True)
    coded_files.write_wincan(tmp_path / "job" / "DB" / "job.db3")
    latin = os.fsencode(tmp_path / "job" / "VIDEO" / "sec") + b"/pr\xfcfung_1.MPG"
    Path(os.fsdecode(latin)).parent.mkdir(parents=True)
    Path(os.fsdecode(latin)).write_bytes(MPEG)
    put(tmp_path / "job" / "Picture" / "Sec" / "prüfung_1_3.jpg", b"\xff\xd8")
    put(tmp_path / "holiday.mpg")
    put(tmp_path / "readme.pdf", b"%PDF")
    manifest = scan(tmp_path)
    found = rows(manifest)
    film = found["job/VIDEO/sec/prüfung_1.MPG"]
    assert film.path_bytes == b"job/VIDEO/sec/pr\xfcfung_1.MPG"
    assert (film.state, film.container, film.database) == ("matched", "mpeg-ps", "job/DB/job.db3")
    assert film.inspection is not None
    assert film.inspection.pipe == "100-200"
    assert found["job/Picture/Sec/prüfung_1_3.jpg"].state == "matched"
    assert found["holiday.mpg"].state == "alone"
    assert manifest.others == 2  # the PDF, and the operators' file
    assert {film.film_id for film in manifest.films} == {
        film.film_id,
        found["holiday.mpg"].film_id,
    }
    write_manifest(tmp_path / "archive.parquet", manifest)
    assert read_manifest(tmp_path / "archive.parquet") == manifest
    table = pq.read_table(tmp_path / "archive.parquet").to_pylist()
    assert [r["pipe"] for r in table if r["kind"] == "film"] == [None, "100-200"]


def test_films_are_found_by_name_where_the_database_names_none(tmp_path: Path) -> None:
    (tmp_path / "Film").mkdir()
    coded_files.write_ibak(tmp_path / "Film" / "Daten.txt")
    put(tmp_path / "Film" / "L_100-200_1.mpg")
    put(tmp_path / "Film" / "L_100-201.mpg")
    found = rows(scan(tmp_path))
    assert found["Film/L_100-200_1.mpg"].reason == "by its name"
    assert found["Film/L_100-201.mpg"].state == "alone"
    assert (found["300-400"].kind, found["300-400"].state) == ("inspection", "missing")


def test_a_missing_film_keeps_its_human_coding(tmp_path: Path) -> None:
    coded_files.write_m150(tmp_path / "m150.xml")
    (row,) = [r for r in scan(tmp_path).rows if r.state == "missing"]
    assert row.path == "Video\\Sec\\prüfung_1.mpg"
    assert row.inspection is not None
    assert len(row.inspection.conditions) == 2


def test_the_same_inspection_in_two_formats_is_no_quarrel(tmp_path: Path) -> None:
    put(tmp_path / "Video" / "Sec" / "prüfung_1.mpg")
    coded_files.write_m150(tmp_path / "m150.xml")
    coded_files.write_wincan(tmp_path / "job.db3")
    (film,) = scan(tmp_path).films
    assert (film.state, film.database) == ("matched", "job.db3")


def test_a_film_that_two_inspections_claim_says_so_and_is_kept(tmp_path: Path) -> None:
    put(tmp_path / "Video" / "Sec" / "prüfung_1.mpg")
    coded_files.write_m150(tmp_path / "one.xml")
    other = coded_files.M150.replace("100-200", "500-600").replace(">100<", ">500<")
    (tmp_path / "two.xml").write_bytes(other.replace("2026", "2019").encode("latin-1"))
    (film,) = scan(tmp_path).films
    assert film.state == "claimed"
    assert film.reason == "claimed by 100-200 (2026-03-01) and by 500-600 (2019-03-01)"
    assert film.inspection is None


def test_two_films_of_one_name_belong_to_the_database_near_them(tmp_path: Path) -> None:
    for job in ("a", "b"):
        put(tmp_path / job / "1.mpg")
    media = Media.of([b"a/1.mpg", b"b/1.mpg", b"b/old/2.mpg"])
    assert media.find("D:\\x\\1.mpg", b"b/job.db3") == [b"b/1.mpg"]
    assert media.find("D:\\a\\1.MPG", b"b/job.db3") == [b"a/1.mpg"]
    assert media.find("1.mpg", b"job.db3") == [b"a/1.mpg", b"b/1.mpg"]
    assert media.find("2.avi", b"job.db3") == [b"b/old/2.mpg"]  # converted since
    assert media.find("", b"job.db3") == media.find("..\\", b"job.db3") == []


def test_what_cannot_be_read_is_a_row_with_its_reason(tmp_path: Path) -> None:
    put(tmp_path / "empty.mpg", b"")
    put(tmp_path / "text.avi", b"not a film at all")
    put(tmp_path / "cut.mp4", b"\0\0\0\x18ftypisom" + bytes(12) + b"\0\0\x10\0mdat" + bytes(50))
    put(tmp_path / "job.sdf", b"x")
    put(tmp_path / "bad.db3", b"x")
    put(tmp_path / "drawing.xml", b"<svg/>")
    os.mkfifo(tmp_path / "pipe.mpg")
    put(tmp_path / "real.mpg")
    (tmp_path / "again.mpg").symlink_to(tmp_path / "real.mpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = rows(scan(tmp_path))
    reasons = {name: row.reason for name, row in found.items() if row.state == "unreadable"}
    assert reasons == {
        "empty.mpg": "an empty file",
        "text.avi": "no film: it begins with 6e 6f 74 20 61 20 66 69",
        "cut.mp4": "an MP4 file without its index: the recording was cut off",
        "pipe.mpg": "not a regular file",
        "job.sdf": "SQL Server Compact, which nothing on Linux reads; "
        "export it from WinCan as .db3",
        "bad.db3": reasons["bad.db3"],
    }
    assert "SQLite" in reasons["bad.db3"]
    assert (found["again.mpg"].kind, found["loop"].kind) == ("link", "link")
    assert found["drawing.xml"].reason == "XML of something else"


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    put(tmp_path / "secret" / "1.mpg")
    if os.geteuid() == 0:
        with pytest.raises(InputError, match="expected a folder"):
            scan(tmp_path / "nowhere")
        return
    (tmp_path / "secret").chmod(0)
    try:
        (row,) = scan(tmp_path).rows
    finally:
        (tmp_path / "secret").chmod(0o700)
    assert (row.path, row.kind, row.state) == ("secret", "folder", "unreadable")


def test_every_film_is_accounted_for_once(tmp_path: Path) -> None:
    chance = random.Random(1)
    names = [bytes(chance.choices(b"ab\xfc\xc3\xa9 '()%\n", k=6)) + b".mpg" for _ in range(300)]
    base = os.fsencode(tmp_path)
    for i, name in enumerate(set(names)):
        folder = base + b"/%d" % (i % 7)
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        with open(folder + b"/" + name, "wb") as f:  # noqa: PTH123
            f.write(MPEG if i % 3 else b"")
    manifest = scan(tmp_path)
    counts = summary(manifest)
    assert counts["film alone"] + counts["film unreadable"] == len(set(names))
    assert len({film.film_id for film in manifest.films}) == len(manifest.films)
    assert manifest == scan(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 500])
def test_a_manifest_that_is_none_is_one_line(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "a.parquet", content)
    with pytest.raises(InputError, match="expected a manifest"):
        read_manifest(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
        ((b"\x47" + bytes(187)) * 5, "mpeg-ts"),
        ((bytes(4) + b"\x47" + bytes(187)) * 5, "mpeg-ts"),
        (b"\0\0\0\x08ftyp\0\0\0\x08moov", "mp4"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
    ],
)
def test_containers(tmp_path: Path, head: bytes, expected: str) -> None:
    assert container_of(os.fsencode(put(tmp_path / "a", head))) == expected


def test_inspections_are_the_same_by_pipe_day_and_way() -> None:
    one = CodedInspection(system="wincan", pipe="P1", date="2026-03-01", direction="upstream")
    assert same_inspection(one, CodedInspection(system="ibak", pipe="p1"))
    assert not same_inspection(one, CodedInspection(system="ibak", pipe="p1", date="2020-01-01"))
    assert not same_inspection(
        one, CodedInspection(system="ibak", pipe="p1", direction="downstream")
    )
    assert not same_inspection(
        one, CodedInspection(system="ibak", pipe="", conditions=(Condition(code="BAB"),))
    )
