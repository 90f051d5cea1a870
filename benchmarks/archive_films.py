"""An archive as crews leave it, made: films in six containers, beside databases in five formats.

The films are simulated rides of some seconds (MPEG-2 program and transport streams, interlaced and
not, AVI, WMV, MP4, Matroska) with odd names, some of them in Latin-1, three of them broken. Needs
ffmpeg.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from scnet_edge.simulation.footage import write_footage
from scnet_edge.simulation.scene import ScenePlan

RIDES = 6
CONTAINERS: dict[str, list[str]] = {
    "mpg": ["-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-vf", "tinterlace=interleave_top"],
    "ts": ["-c:v", "mpeg2video"],
    "avi": ["-c:v", "mjpeg", "-q:v", "4"],
    "wmv": ["-c:v", "wmv2"],
    "mp4": ["-c:v", "mpeg4"],
    "mkv": ["-c:v", "mpeg4"],
}
ODD = ("{}", "Haltung {}", "L_{}_1", "prüf'ung {} (neu)", "{}.alt", "№{}")
KINDS = {"longitudinal": "A", "circumferential": "B", "multiple": "C", "spiral": "D"}
SYSTEMS = ("wincan", "m150", "isybau", "pacp", "ibak", "none")


def make_archive(folder: Path, count: int) -> set[bytes]:
    """Write films and databases, and return the films' paths, relative to the folder."""
    rides = folder.parent / "rides"
    encoded = {(i, kind): path for i, kind, path in _encode(rides)}
    chance, films = random.Random(1), set[bytes]()
    jobs: dict[str, list[tuple[str, str, dict[str, Any]]]] = {system: [] for system in SYSTEMS}
    for number in range(count):
        ride, kind = number % RIDES, list(CONTAINERS)[number // RIDES % len(CONTAINERS)]
        system = SYSTEMS[number % len(SYSTEMS)]
        pipe = f"{1000 + number}-{1001 + number}"
        name = ODD[number % len(ODD)] if system not in ("ibak", "none") else "L_{}"
        file = f"{name.format(pipe)}.{kind}"
        path = os.fsencode(f"{system}/Video/") + _bytes(file, latin=number % 7 == 0)
        there = os.fsencode(folder) + b"/" + path
        os.makedirs(os.path.dirname(there), exist_ok=True)  # noqa: PTH103, PTH120
        shutil.copyfile(encoded[ride, kind], there)
        films.add(path)
        truth = json.loads((rides / str(ride) / "truth.json").read_text(encoding="utf-8"))
        jobs[system].append((pipe, file, truth))
    for path in sorted(films)[:: max(1, count // 3)][:3]:
        there = os.fsencode(folder) + b"/" + path
        with open(there, "r+b") as f:  # noqa: PTH123
            f.truncate(chance.choice([0, 3]))
    for system, pipes in jobs.items():
        _write_database(folder / system, system, pipes)
    return films


def _encode(rides: Path) -> Iterator[tuple[int, str, Path]]:
    for i in range(RIDES):
        plan = ScenePlan(seed=i, metres=0.9, cracks=3, size_hw=(96, 128), fps=5, speed_mps=0.2)
        write_footage(plan, rides / str(i))
        for kind, options in CONTAINERS.items():
            path = rides / f"{i}.{kind}"
            command = ["ffmpeg", "-v", "error", "-y", "-i", str(rides / str(i) / "footage.mp4")]
            rate = ["-r", "25"] if "mpeg2video" in options else []
            subprocess.run([*command, *options, *rate, "-an", str(path)], check=True)
            yield i, kind, path


def _bytes(name: str, *, latin: bool) -> bytes:
    return name.encode("latin-1", "replace").replace(b"?", b"_") if latin else name.encode()


def _note(truth: dict[str, Any]) -> Iterator[tuple[float, int, str, int]]:
    """Yield (metres, seconds, code, clock) as a person notes the cracks of a ride."""
    for crack in truth["cracks"]:
        frames = truth["frames"]
        seen = min(frames, key=lambda f: abs(float(f["chainage_m"]) - float(crack["start_m"])))
        metres = round(float(crack["start_m"]), 1)
        hour = round(float(crack["clock_from"])) or 12
        yield metres, round(float(seen["time_s"])), f"BABB{KINDS[crack['kind']]}", hour


def _write_database(
    folder: Path, system: str, pipes: list[tuple[str, str, dict[str, Any]]]
) -> None:
    write = {"wincan": _wincan, "m150": _m150, "isybau": _isybau, "pacp": _pacp, "ibak": _ibak}
    if system in write:
        write[system](folder, pipes)


def _wincan(folder: Path, pipes: list[tuple[str, str, dict[str, Any]]]) -> None:
    with closing(sqlite3.connect(folder / "job.db3")) as db, db:
        db.executescript(
            "CREATE TABLE SECTION (OBJ_PK, OBJ_Key, OBJ_Size1);"
            "CREATE TABLE SECINSP (INS_PK, INS_Section_FK, INS_InspectionDir, INS_StartDate);"
            "CREATE TABLE SECOBS (OBS_PK, OBS_Inspection_FK, OBS_Distance, OBS_OpCode,"
            " OBS_TimeCtr, OBS_ClockPos1);"
            "CREATE TABLE SECOBSMM (OMM_Observation_FK, OMM_FileName, OMM_Type);"
        )
        for pipe, file, truth in pipes:
            db.execute("INSERT INTO SECTION VALUES (?, ?, 300)", (pipe, pipe))
            db.execute("INSERT INTO SECINSP VALUES (?, ?, '1', '2026-03-01')", (pipe, pipe))
            for i, (metres, seconds, code, hour) in enumerate(_note(truth)):
                key = f"{pipe}/{i}"
                row = (key, pipe, metres, code, f"00:00:{seconds:02d}", hour)
                db.execute("INSERT INTO SECOBS VALUES (?, ?, ?, ?, ?, ?)", row)
                media = (key, f"..\\Video\\{file}", "VI1")
                db.execute("INSERT INTO SECOBSMM VALUES (?, ?, ?)", media)


def _m150(folder: Path, pipes: list[tuple[str, str, dict[str, Any]]]) -> None:
    lines = ["<?xml version='1.0' encoding='UTF-8'?>", "<DATA>"]
    for pipe, file, truth in pipes:
        lines.append(f"<HG><HG001>{pipe}</HG001><HI><HI101>I</HI101><HI104>2026-03-01</HI104>")
        lines.append(f"<HI116>{escape(file)}</HI116>")
        for metres, seconds, code, hour in _note(truth):
            lines.append(
                f"<HZ><HZ001>{metres}</HZ001><HZ002>BAB</HZ002><HZ006>{hour}</HZ006>"
                f"<HZ008>00:00:{seconds:02d}</HZ008><HZ014>B</HZ014><HZ015>{code[-1]}</HZ015></HZ>"
            )
        lines.append("</HI></HG>")
    (folder / "m150.xml").write_text("\n".join([*lines, "</DATA>"]), encoding="utf-8")


def _isybau(folder: Path, pipes: list[tuple[str, str, dict[str, Any]]]) -> None:
    plants, films = [], []
    for pipe, file, truth in pipes:
        states = "".join(
            f"<RZustand><Station>{metres}</Station><Videozaehler>{seconds}</Videozaehler>"
            f"<InspektionsKode>BAB</InspektionsKode><Charakterisierung1>B</Charakterisierung1>"
            f"<Charakterisierung2>{code[-1]}</Charakterisierung2>"
            f"<PositionVon>{hour}</PositionVon></RZustand>"
            for metres, seconds, code, hour in _note(truth)
        )
        plants.append(
            f"<InspizierteAbwassertechnischeAnlage><Objektbezeichnung>{pipe}</Objektbezeichnung>"
            "<Anlagentyp>1</Anlagentyp><OptischeInspektion><Inspektionsdatum>2026-03-01"
            "</Inspektionsdatum><Rohrleitung><Inspektionsrichtung>O</Inspektionsrichtung>"
            f"<Inspektionsdaten>{states}</Inspektionsdaten></Rohrleitung></OptischeInspektion>"
            "</InspizierteAbwassertechnischeAnlage>"
        )
        films.append(
            f"<Film><Filmname>{escape(file)}</Filmname><FilmObjekte><FilmObjekt>"
            f"<Objektbezeichnung>{pipe}</Objektbezeichnung></FilmObjekt></FilmObjekte></Film>"
        )
    space = "http" + "://www.ofd-hannover.la/Identifikation"
    text = (
        f'<Identifikation xmlns="{space}"><Datenkollektive><Zustandsdatenkollektiv>'
        f"{''.join(plants)}<Filme>{''.join(films)}</Filme>"
        "</Zustandsdatenkollektiv></Datenkollektive></Identifikation>"
    )
    (folder / "isybau.xml").write_text(text, encoding="utf-8")


def _pacp(folder: Path, pipes: list[tuple[str, str, dict[str, Any]]]) -> None:
    heads = ["InspectionID,Pipe_Segment_Reference,Inspection_Date,Direction,IsImperial"]
    lines = ["ConditionID,InspectionID,Distance,PACP_Code,Clock_At_From,VCR_Time"]
    media = ["MediaID,InspectionID,Video_Name"]
    codes = {"A": "CL", "B": "CC", "C": "CM", "D": "CS"}
    for i, (pipe, file, truth) in enumerate(pipes):
        heads.append(f"{i},{pipe},2026-03-01,D,0")
        media.append(f'{i},{i},"{file}"')
        for metres, seconds, code, hour in _note(truth):
            code = codes[code[-1]]
            lines.append(f"{len(lines)},{i},{metres},{code},{hour},00:00:{seconds:02d}")
    for name, table in (
        ("Inspections", heads),
        ("Conditions", lines),
        ("Media_Inspections", media),
    ):
        (folder / f"PACP_{name}.csv").write_text("\n".join(table) + "\n", encoding="utf-8")


def _ibak(folder: Path, pipes: list[tuple[str, str, dict[str, Any]]]) -> None:
    lines = []
    for pipe, _, truth in pipes:
        lines.append(pipe)
        for metres, seconds, code, hour in _note(truth):
            lines.append(f"\t00:00:{seconds:02d}  {metres:.2f} m  {code}  Riss bei {hour} Uhr")
    (folder / "Daten.txt").write_bytes("\r\n".join(lines).encode("cp1252"))
