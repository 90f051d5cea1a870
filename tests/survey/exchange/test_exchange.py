"""Every format read back by somebody else's reader, and compared with the records."""

import contextlib
import csv
import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from hand_made import HOSTILE, facts, gap, observation, picture, unscaled
from lxml import etree
from pycocotools.coco import COCO

from scnet_edge.data.datasets import open_dataset
from scnet_edge.errors import ConfigError, InputError
from scnet_edge.survey.codes import read_codes, suggest
from scnet_edge.survey.database import DiskLimits
from scnet_edge.survey.exchange import Format, export_survey
from scnet_edge.survey.exchange.document import document_schema
from scnet_edge.survey.exchange.geojson import along, distance_m
from scnet_edge.survey.facts import Progress, Site
from scnet_edge.survey.folder import Survey, read_survey
from scnet_edge.survey.journal import Journal
from scnet_edge.survey.recorder import record
from scnet_edge.types import Photograph

CODES = read_codes()
SMALL = DiskLimits(snapshot_bytes=0, mask_bytes=0, reserve_bytes=0)
LINE = ((9.0, 50.0), (9.0, 50.0001), (9.0002, 50.0001))  # 11.1 m north, 14.3 m east
XSD = Path(__file__).with_name("isybau.xsd")
NS = {"d": "http://www.ofd-hannover.la/Identifikation"}


def made(folder: Path, **changes: Any) -> Survey:
    site = Site(pipe_id=HOSTILE, place="Wehrstraße", from_node="1", to_node="2", line_lonlat=LINE)
    with Journal(folder, facts(**{"site": site, **changes}), limits=SMALL) as journal:
        record(journal, observation(1, remarks=HOSTILE + "\x00\x0b"), *picture(1))
        record(journal, observation(2, kind="multiple", end_m=6.6, clock_to=11.6), *picture(2))
        record(journal, observation(3, review="accepted", remarks="=1+1"), None, None)
        record(journal, observation(4, review="rejected"), *picture(4))
        done = Progress(frame_id=99, resume_frame_id=100, frames=100, chainage_m=25.0)
        journal.commit(gaps=[gap()], progress=done)
    return read_survey(folder)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return made(tmp_path_factory.mktemp("survey"))


def test_csv_holds_every_record(survey: Survey, tmp_path: Path) -> None:
    [path] = export_survey(survey, CODES, "csv", tmp_path)
    with path.open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 4
    for row, o in zip(rows, survey.observations, strict=True):
        assert int(row["seq"]) == o.seq
        assert float(row["start_m"]) == o.start_m
        assert o.width_p95_mm
        assert float(row["width_p95_mm"]) == o.width_p95_mm.value
        assert float(row["width_p95_mm_sigma"]) == o.width_p95_mm.sigma
        assert row["suggested_pacp"] == suggest(o, CODES).pacp
    assert rows[0]["remarks"] == survey.observations[0].remarks
    assert rows[2]["remarks"] == "'=1+1"  # no spreadsheet computes it


def test_json_is_what_the_published_schema_says(survey: Survey, root: Path, tmp_path: Path) -> None:
    schema = json.loads((root / "docs" / "survey.schema.json").read_text(encoding="utf-8"))
    # else: python scripts/write_schema.py
    assert schema == json.loads(json.dumps(document_schema()))
    [path] = export_survey(survey, CODES, "json", tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    validator.validate(document)
    assert document["observations"][0]["observation"]["remarks"] == survey.observations[0].remarks
    assert document["observations"][2]["observation"]["review"] == "accepted"
    assert len(document["gaps"]) == 1
    broken = {**document, "observations": [{"observation": {}, "suggested": None}]}
    assert not validator.is_valid(broken)


def test_geojson_lies_on_the_course(survey: Survey, tmp_path: Path) -> None:
    [path] = export_survey(survey, CODES, "geojson", tmp_path)
    collection = json.loads(path.read_text(encoding="utf-8"))
    assert collection["type"] == "FeatureCollection"
    for feature, o in zip(collection["features"], survey.observations, strict=True):
        places = feature["geometry"]["coordinates"]
        assert feature["geometry"]["type"] == "LineString"
        assert o.start_m is not None
        assert o.end_m is not None
        assert distance_m(LINE[0], tuple(places[0])) == pytest.approx(o.start_m, abs=0.01)
        length_m = sum(distance_m(tuple(a), tuple(b)) for a, b in pairwise(places))
        assert length_m == pytest.approx(o.end_m - o.start_m, abs=0.01)


def test_geojson_properties_are_flat_so_that_a_map_styles_by_them(
    survey: Survey, tmp_path: Path
) -> None:
    [path] = export_survey(survey, CODES, "geojson", tmp_path)
    for feature, o in zip(
        json.loads(path.read_text(encoding="utf-8"))["features"], survey.observations, strict=True
    ):
        flat = feature["properties"]
        assert not any(isinstance(value, dict | list) for value in flat.values())
        assert o.width_p95_mm is not None
        assert flat["width_p95_mm"] == o.width_p95_mm.value
        assert flat["suggested_pacp"] == suggest(o, CODES).pacp


PHOTOGRAPH = Photograph(
    file="day 2/PIER_01.jpg", taken="2024-05-06T07:08:09", lonlat=(6.0, 50.0002778)
)


def test_a_photograph_gives_its_name_time_and_place_to_every_format(tmp_path: Path) -> None:
    with Journal(tmp_path, facts(mode="wall", site=Site()), limits=SMALL) as journal:
        record(journal, unscaled(1, photograph=PHOTOGRAPH), *picture(1))
    survey = read_survey(tmp_path)
    out = tmp_path / "out"
    for format in ("csv", "json", "geojson", "coco"):
        [path] = export_survey(survey, CODES, format, out)
        text = path.read_text(encoding="utf-8")
        for said in ("PIER_01.jpg", "2024-05-06T07:08:09", "50.0002778"):
            assert said in text
    [feature] = json.loads((out / "observations.geojson").read_text())["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [6.0, 50.0002778]}
    [sample] = open_dataset(f"coco:{out / 'coco.json'}", "all")
    assert np.array_equal(sample.read_mask(), picture(1)[1])


@pytest.mark.parametrize("locale", ["de", "de_DE", "fr", "it-CH"])
def test_a_table_for_a_spreadsheet_with_decimal_commas(
    survey: Survey, tmp_path: Path, locale: str
) -> None:
    [path] = export_survey(survey, CODES, "csv", tmp_path, locale=locale)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfseq;segment;")
    with path.open(newline="", encoding="utf-8-sig") as f:
        rows = list(csv.DictReader(f, delimiter=";"))
    for row, o in zip(rows, survey.observations, strict=True):
        assert row["width_p95_mm"] == str(o.width_p95_mm and o.width_p95_mm.value).replace(".", ",")
        assert row["start_m"] == str(o.start_m).replace(".", ",")
        assert row["utc_ns"] == str(o.utc_ns)


def test_a_locale_that_cannot_be(survey: Survey, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--locale xx: expected one of en, cs"):
        export_survey(survey, CODES, "csv", tmp_path, locale="xx")
    with pytest.raises(ConfigError, match="--locale is for csv"):
        export_survey(survey, CODES, "json", tmp_path, locale="de")


@pytest.mark.parametrize("format", ["pacp-csv", "isybau-xml", "m150-xml", "csv"])
def test_no_condition_lies_before_the_start_or_beyond_what_was_surveyed(
    tmp_path: Path, format: Format
) -> None:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        record(journal, observation(1, start_m=-0.12, end_m=0.05), None, None)
        record(journal, observation(2, start_m=1.0, end_m=7.256), None, None)
        record(journal, observation(3, start_m=9.0, end_m=99.0, review="rejected"), None, None)
        done = Progress(frame_id=9, resume_frame_id=10, frames=10, chainage_m=5.1)
        journal.commit(progress=done)
    survey = read_survey(tmp_path)
    assert survey.length_m == 7.26
    paths = {path.stem: path for path in export_survey(survey, CODES, format, tmp_path)}
    if format == "pacp-csv":
        stations = [float(row["Distance"]) for row in rows_of(paths["PACP_Conditions"])]
        length_m = float(rows_of(paths["PACP_Inspections"])[0]["Length_Surveyed"])
    elif format == "csv":
        stations = [float(row["start_m"]) for row in rows_of(paths["observations"])][:2]
        stations.append(round(float(rows_of(paths["observations"])[1]["end_m"]), 2))
        length_m = survey.length_m
    elif format == "m150-xml":
        root = etree.parse(paths["m150"])
        stations = [float(element.text) for element in root.iterfind(".//HZ001")]
        length_m = survey.length_m
    else:
        root = etree.parse(paths["isybau"])
        stations = [float(element.text) for element in root.iterfind(".//d:Station", NS)]
        length_m = float(root.find(".//d:Inspektionslaenge", NS).text)
    assert stations == [0.0, 1.0, 7.26]
    assert length_m == survey.length_m


def test_what_was_seen_before_the_start_is_given_from_the_start_and_says_so(tmp_path: Path) -> None:
    outline = ((-0.12, 2.0), (0.05, 2.5))
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        measured = observation(1, start_m=-0.12, end_m=0.05, outline_m_h=outline)
        record(journal, measured, None, None)
        journal.commit(gaps=[gap(start_m=-0.3, end_m=0.1)])
    survey = read_survey(tmp_path)
    [one], [missed] = survey.observations, survey.gaps
    assert (one.start_m, one.end_m, one.outline_m_h) == (0.0, 0.05, ((0.0, 2.0), (0.05, 2.5)))
    assert one.flags[-1] == "before_start"
    assert one.length_mm == measured.length_mm
    assert (missed.start_m, missed.end_m) == (0.0, 0.1)


def test_a_course_is_followed_round_its_corners() -> None:
    places = along(LINE, 10.0, 14.0)
    assert len(places) == 3
    assert places[1] == LINE[1]
    assert along(LINE, 20.0, 30.0) == []  # beyond its end
    assert along((), 0.0, 1.0) == []
    # One degree of latitude is 111.2 km on a sphere of the mean radius.
    assert distance_m((0.0, 0.0), (0.0, 1.0)) == pytest.approx(111_195, rel=1e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_coco_masks_are_exact(survey: Survey, tmp_path: Path) -> None:
    [path] = export_survey(survey, CODES, "coco", tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert sorted(coco.getImgIds()) == [1, 2, 4]  # 3 has no picture
    for seq in coco.getImgIds():
        [image] = coco.loadImgs([seq])
        frame = cv2.imread(str(tmp_path / "images" / image["file_name"]))
        assert frame.shape[:2] == (image["height"], image["width"])
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[seq]))
        assert len(annotations) == (seq != 4)  # which was rejected: a picture without a crack
        if not annotations:
            continue
        [annotation] = annotations
        true = picture(seq)[1]
        np.testing.assert_array_equal(coco.annToMask(annotation), true)
        assert annotation["area"] == true.sum()
        assert tuple(annotation["bbox"]) == cv2.boundingRect(true.astype(np.uint8))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def test_pacp_tables(survey: Survey, tmp_path: Path) -> None:
    paths = {
        path.stem: rows_of(path) for path in export_survey(survey, CODES, "pacp-csv", tmp_path)
    }
    tables = {"Inspections", "Conditions", "Media_Inspections", "Media_Conditions"}
    assert set(paths) == {f"PACP_{table}" for table in tables}
    [inspection] = paths["PACP_Inspections"]
    assert int(inspection["InspectionID"]) == 1
    assert inspection["Inspection_Date"] == "2026-11-20"
    assert inspection["Inspection_Time"] == "08:30:00"
    assert inspection["Length_Surveyed"] == "25.0"
    assert inspection["Certificate_Number"] == ""
    assert (inspection["Inspection_Date"], inspection["Inspection_Time"]) == (
        "2026-11-20",
        "08:30:00",
    )
    assert int(inspection["InspectionID"]) == 1
    assert (inspection["Upstream_MH"], inspection["Height"]) == ("1", "300.0")
    conditions = paths["PACP_Conditions"]
    marks = [(c["PACP_Code"], c["Continuous"], c["Distance"]) for c in conditions]
    # The second is 4.6 m long: start and finish. The fourth was rejected.
    assert marks == [
        ("CL", "", "1.0"),
        ("CM", "S01", "2.0"),
        ("CM", "F01", "6.6"),
        ("CL", "", "3.0"),
    ]
    assert [(c["Clock_At_From"], c["Clock_To"]) for c in conditions[:2]] == [("2", ""), ("2", "12")]
    assert "to be reviewed" in conditions[0]["Remarks"]
    known = {c["ConditionID"] for c in conditions}
    for row in paths["PACP_Media_Conditions"]:
        assert row["ConditionID"] in known
        assert (tmp_path / "pacp" / row["Image_Path"] / row["Image_Reference"]).is_file()


def test_m150_xml_is_what_qkan_looks_for(survey: Survey, tmp_path: Path) -> None:
    [path] = export_survey(survey, CODES, "m150-xml", tmp_path)
    root = etree.parse(path)
    assert [n.text for n in root.findall("KG/KG001")] == ["1", "2"]
    [pipe] = root.findall("HG")
    assert (pipe.findtext("HG003"), pipe.findtext("HG004"), pipe.findtext("HG307")) == (
        "1",
        "2",
        "300",
    )
    assert pipe.findtext("HG102") == "Wehrstraße"
    assert (pipe.findtext("HG310"), pipe.findtext("HG314")) == ("25.00", None)  # of the pipe
    assert (pipe.findtext("HI/HI101"), pipe.findtext("HI/HI116")) == ("I", "pipe.mp4")
    names = ("HZ001", "HZ002", "HZ014", "HZ015", "HZ005")
    read = [tuple(state.findtext(n, "") for n in names) for state in pipe.findall("HI/HZ")]
    assert read == [
        ("1.00", "BAB", "B", "A", ""),
        ("2.00", "BAB", "B", "C", "A2"),
        ("6.60", "BAB", "B", "C", "B2"),
        ("3.00", "BAB", "B", "A", ""),
    ]
    [first, *_] = pipe.findall("HI/HZ")
    assert (first.findtext("HZ003"), first.findtext("HZ009")) == ("1", "000001.jpg")
    assert HOSTILE in first.findtext("HZ010")


def test_isybau_xml_has_its_structure(survey: Survey, tmp_path: Path) -> None:
    [path] = export_survey(survey, CODES, "isybau-xml", tmp_path)
    root = etree.parse(path)
    etree.XMLSchema(etree.parse(XSD)).assertValid(root)
    # Along the paths by which QKan, the QGIS plugin, reads it.
    plants = root.findall(
        "d:Datenkollektive/d:Zustandsdatenkollektiv/d:InspizierteAbwassertechnischeAnlage", NS
    )
    [plant] = plants
    assert plant.findtext("d:Lage/d:Strassenname", None, NS) == "Wehrstraße"
    states = plant.findall("d:OptischeInspektion/d:Rohrleitung/d:Inspektionsdaten/d:RZustand", NS)
    read = [
        tuple(
            state.findtext(f"d:{name}", "", NS)
            for name in ("Station", "InspektionsKode", "Charakterisierung1", "Charakterisierung2")
        )
        for state in states
    ]
    assert read == [
        ("1.00", "BAB", "B", "A"),
        ("2.00", "BAB", "B", "C"),
        ("6.60", "BAB", "B", "C"),
        ("3.00", "BAB", "B", "A"),
    ]
    assert [s.findtext("d:Streckenschaden", "", NS) for s in states] == ["", "A", "B", ""]
    assert states[0].findtext("d:Quantifizierung1Numerisch", "", NS) == "1"
    assert states[0].findtext("d:Fotodatei", "", NS) == "000001.jpg"
    assert HOSTILE in states[0].findtext("d:Kommentar", "", NS)


@pytest.mark.parametrize("format", ["pacp-csv", "isybau-xml", "m150-xml"])
def test_formats_for_pipes_refuse_what_they_cannot_hold(tmp_path: Path, format: Format) -> None:
    with Journal(tmp_path / "wall", facts(mode="wall"), limits=SMALL):
        pass
    with pytest.raises(InputError, match="survey of a wall"):
        export_survey(read_survey(tmp_path / "wall"), CODES, format, tmp_path)
    with Journal(tmp_path / "lost", facts(), limits=SMALL) as journal:
        record(journal, unscaled(), None, None)
    with pytest.raises(InputError, match="needs a chainage"):
        export_survey(read_survey(tmp_path / "lost"), CODES, format, tmp_path)


@pytest.mark.parametrize("format", ["csv", "json", "geojson", "coco"])
def test_the_other_formats_hold_any_survey(tmp_path: Path, format: Format) -> None:
    with Journal(tmp_path, facts(mode="wall", site=Site()), limits=SMALL) as journal:
        record(journal, unscaled(), *picture(1))
    [path] = export_survey(read_survey(tmp_path), CODES, format, tmp_path / "out")
    assert path.stat().st_size > 0
    if format == "geojson":
        [feature] = json.loads(path.read_text(encoding="utf-8"))["features"]
        assert feature["geometry"] is None


@pytest.mark.parametrize(
    ("clock", "expected"),
    [((2.6, 3.4), ("3", "")), ((0.0, 11.99), ("12", "12")), ((3.4, 2.6), ("3", "3"))],
    ids=["within an hour", "all around", "11.2 hours"],
)
def test_pacp_clocks_of_a_long_crack_have_both_ends(
    tmp_path: Path, clock: tuple[float, float], expected: tuple[str, str]
) -> None:
    with Journal(tmp_path, facts(), limits=SMALL) as journal:
        record(journal, observation(1, clock_from=clock[0], clock_to=clock[1]), *picture(1))
    paths = {p.stem: p for p in export_survey(read_survey(tmp_path), CODES, "pacp-csv", tmp_path)}
    [condition] = rows_of(paths["PACP_Conditions"])
    assert (condition["Clock_At_From"], condition["Clock_To"]) == expected
