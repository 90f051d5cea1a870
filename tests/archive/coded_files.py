"""One inspection with two cracks and a connection, in every format that crews deliver."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

FILM = "..\\Video\\Sec\\prüfung_1.mpg"
PICTURE = "..\\Picture\\Sec\\prüfung_1_3.jpg"

ISYBAU = """<?xml version="1.0" encoding="ISO-8859-1"?>
<Identifikation xmlns="http://www.ofd-hannover.la/Identifikation">
 <Version>2013-02</Version>
 <Datenkollektive>
  <Zustandsdatenkollektiv>
   <InspizierteAbwassertechnischeAnlage>
    <Objektbezeichnung>100-200</Objektbezeichnung>
    <Anlagentyp>1</Anlagentyp>
    <OptischeInspektion>
     <Inspektionsdatum>2026-03-01</Inspektionsdatum>
     <NameUntersucher>J. Müller</NameUntersucher>
     <Rohrleitung>
      <Inspektionsrichtung>U</Inspektionsrichtung>
      <Inspektionslaenge>31.50</Inspektionslaenge>
      <RGrunddaten>
       <KnotenZulauf>100</KnotenZulauf><KnotenAblauf>200</KnotenAblauf>
       <Material>STZ</Material><Profilhoehe>300</Profilhoehe>
      </RGrunddaten>
      <Inspektionsdaten>
       <RZustand>
        <Station>4.20</Station><Videozaehler>65</Videozaehler>
        <InspektionsKode>BAB</InspektionsKode>
        <Charakterisierung1>B</Charakterisierung1><Charakterisierung2>A</Charakterisierung2>
        <Quantifizierung1Numerisch>2</Quantifizierung1Numerisch>
        <Streckenschaden>A</Streckenschaden><StreckenschadenLfdNr>1</StreckenschadenLfdNr>
        <PositionVon>12</PositionVon><PositionBis>2</PositionBis>
        <Fotodatei>prüfung_1_3.jpg</Fotodatei>
       </RZustand>
       <RZustand>
        <Station>6.70</Station><InspektionsKode>BAB</InspektionsKode>
        <Charakterisierung1>B</Charakterisierung1><Charakterisierung2>A</Charakterisierung2>
        <Streckenschaden>B</Streckenschaden><StreckenschadenLfdNr>1</StreckenschadenLfdNr>
       </RZustand>
       <RZustand>
        <Station>9.00</Station><Videozaehler>130</Videozaehler>
        <InspektionsKode>BCA</InspektionsKode><Charakterisierung1>E</Charakterisierung1>
        <PositionVon>3</PositionVon>
       </RZustand>
      </Inspektionsdaten>
     </Rohrleitung>
    </OptischeInspektion>
   </InspizierteAbwassertechnischeAnlage>
   <InspizierteAbwassertechnischeAnlage>
    <Objektbezeichnung>100</Objektbezeichnung><Anlagentyp>3</Anlagentyp>
    <OptischeInspektion><Knoten/></OptischeInspektion>
   </InspizierteAbwassertechnischeAnlage>
   <Filme>
    <Film><Filmname>prüfung_1.mpg</Filmname><Filmpfad>Video\\Sec</Filmpfad>
     <FilmObjekte><FilmObjekt><Objektbezeichnung>100-200</Objektbezeichnung></FilmObjekt></FilmObjekte>
    </Film>
   </Filme>
  </Zustandsdatenkollektiv>
 </Datenkollektive>
</Identifikation>
"""

M150 = """<?xml version="1.0" encoding="ISO-8859-1"?>
<DATA>
 <KG><KG001>100</KG001></KG>
 <HG>
  <HG001>100-200</HG001><HG003>100</HG003><HG004>200</HG004>
  <HG304>STZ</HG304><HG306>300</HG306><HG307>300</HG307><HG310>31,50</HG310><HG314>2,00</HG314>
  <HI>
   <HI101>G</HI101><HI104>2026-03-01</HI104><HI112>J. Müller</HI112>
   <HI116>Video\\Sec\\prüfung_1.mpg</HI116>
   <HZ><HZ001>4.20</HZ001><HZ002>BAB</HZ002><HZ003>2</HZ003><HZ005>A1</HZ005><HZ006>12</HZ006>
    <HZ007>2</HZ007><HZ008>00:01:05</HZ008><HZ009>prüfung_1_3.jpg</HZ009>
    <HZ014>B</HZ014><HZ015>A</HZ015></HZ>
   <HZ><HZ001>6.70</HZ001><HZ002>BAB</HZ002><HZ005>B1</HZ005><HZ014>B</HZ014><HZ015>A</HZ015></HZ>
   <HZ><HZ001>9.00</HZ001><HZ002>BCA</HZ002><HZ006>3</HZ006><HZ008>00:02:10</HZ008>
    <HZ014>E</HZ014></HZ>
  </HI>
 </HG>
</DATA>
"""

IBAK = (
    "100-200\r\n"
    "\t00:01:05    4.20 m  BABBA   Riss längs, Anfang (1)@!$ibak$!100-200$H\r\n"
    "\t            6.70 m  BABBA   Riss längs, Ende (1)@!$ibak$!100-200$H\r\n"
    "\t00:02:10    9,00 m  BCAE    Anschluss bei 3 Uhr, Foto 1@!$ibak$!100-200$H\r\n"
    "300-400\r\n"
    "\t00:00:05    0.00 m  BCD     Rohranfang@!$ibak$!300-400$H\r\n"
)

PACP = {
    "PACP_Inspections.csv": (
        "InspectionID,Surveyed_By,Inspection_Date,Inspection_Time,Pipe_Segment_Reference,"
        "Upstream_MH,Downstream_MH,Direction,Height,Shape,Material,Length_Surveyed,IsImperial\n"
        '7,"Müller, J.",20260301,0900,100-200,100,200,U,12,C,VCP,103.35,1\n'
    ),
    "PACP_Conditions.csv": (
        "ConditionID,InspectionID,Distance,Counter,PACP_Code,Continuous,Value_1st_Dimension,"
        "Clock_At_From,Clock_To,Remarks,VCR_Time\n"
        "1,7,13.78,0,CL,S01,2,12,2,long crack,000105\n"
        "2,7,21.98,0,CL,F01,,12,2,,000150\n"
        "3,7,29.53,0,TFA,,,3,,,00:02:10\n"
    ),
    "PACP_Media_Inspections.csv": (
        "MediaID,InspectionID,Video_Name,Video_Location\n1,7,prüfung_1.mpg,Video\\Sec\n"
    ),
    "PACP_Media_Conditions.csv": (
        "MediaConditionID,ConditionID,Image_Reference,Image_Path\n1,1,prüfung_1_3.jpg,\n"
    ),
}

WINCAN = """
CREATE TABLE PROJECT (PRJ_PK TEXT, PRJ_Key TEXT, PRJ_Date TEXT, PRJ_Deleted TEXT);
INSERT INTO PROJECT VALUES ('p', 'job 12', '2026-03-01 00:00:00', NULL);
CREATE TABLE NODE (OBJ_PK TEXT, OBJ_Key TEXT, OBJ_Deleted TEXT);
INSERT INTO NODE VALUES ('n1', '100', NULL), ('n2', '200', NULL);
CREATE TABLE SECTION (OBJ_PK TEXT, OBJ_Key TEXT, OBJ_Project_FK TEXT, OBJ_FromNode_REF TEXT,
  OBJ_ToNode_REF TEXT, OBJ_Size1 REAL, OBJ_Material TEXT, OBJ_Length REAL, OBJ_FlowDir INTEGER,
  OBJ_City TEXT, OBJ_Street TEXT, OBJ_SortOrder INTEGER, OBJ_Deleted TEXT);
INSERT INTO SECTION VALUES ('s', '100-200', 'p', 'n1', 'n2', 300, 'STZ', 33, 1, '', '', 1, NULL);
CREATE TABLE SECINSP (INS_PK TEXT, INS_Key TEXT, INS_Section_FK TEXT, INS_Type TEXT,
  INS_InspectionDir TEXT, INS_InspectedLength REAL, INS_HighestGrade INTEGER, INS_StartDate TEXT,
  INS_Method TEXT, INS_Operator_REF TEXT, INS_Deleted TEXT);
INSERT INTO SECINSP VALUES
  ('i', '1', 's', '', '2', 31.5, 3, '2026-03-01 09:00:00.000', 'B', 'o', NULL),
  ('gone', '2', 's', '', '1', 1, 3, '2020-01-01 09:00:00.000', 'B', 'o', '2021-01-01');
CREATE TABLE SECOBS (OBS_PK TEXT, OBS_Inspection_FK TEXT, OBS_Distance REAL, OBS_OpCode TEXT,
  OBS_Observation TEXT, OBS_TimeCtr TEXT, OBS_ClockPos1 TEXT, OBS_ClockPos2 TEXT, OBS_Q1_Value TEXT,
  OBS_U1_Value TEXT, OBS_Q2_Value TEXT, OBS_U2_Value TEXT, OBS_Q3_Value TEXT, OBS_U3_Value TEXT,
  OBS_RateValue REAL, OBS_Memo TEXT, OBS_ContDefectLength REAL, OBS_Deleted TEXT);
INSERT INTO SECOBS VALUES
  ('o1', 'i', 4.2, 'BABBA', 'Riss', '00:01:05', '12', '2', '2', 'mm', NULL, NULL, NULL, NULL, 2,
   '', 2.5, NULL),
  ('o3', 'i', 9, 'BCAE', 'Anschluss', '00:02:10', '3', '', '', '', NULL, NULL, NULL, NULL, 0, '',
   NULL, NULL),
  ('o4', 'i', 10, 'BABCB', 'deleted', '00:02:20', '3', '', '', '', NULL, NULL, NULL, NULL, 0, '',
   NULL, '2026-03-02');
CREATE TABLE SECOBSMM (OMM_PK TEXT, OMM_Observation_FK TEXT, OMM_FileName TEXT, OMM_Type TEXT,
  OMM_Deleted TEXT);
INSERT INTO SECOBSMM VALUES ('m1', 'o1', ?1, 'PI1', NULL), ('m2', 'o1', ?2, 'VI1', NULL);
"""


def write_wincan(path: Path, *, film: str = FILM, picture: str = PICTURE) -> Path:
    """Write a WinCan VX project and the file with its operators."""
    *tables, media = WINCAN.strip().removesuffix(";").rsplit(";", 1)
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(";".join(tables))
        db.execute(media, (picture, film))
    with closing(sqlite3.connect(path.with_name(f"{path.stem}_meta.db3"))) as db, db:
        db.execute("CREATE TABLE OPERATOR (OP_PK TEXT, OP_Key TEXT)")
        db.execute("INSERT INTO OPERATOR VALUES ('o', 'J. Müller')")
    return path


def write_isybau(path: Path) -> Path:
    """Write an ISYBAU XML file in Latin-1."""
    path.write_bytes(ISYBAU.encode("latin-1"))
    return path


def write_m150(path: Path) -> Path:
    """Write a DWA-M 150 XML file in Latin-1."""
    path.write_bytes(M150.encode("latin-1"))
    return path


def write_ibak(path: Path) -> Path:
    """Write IBAK's Daten.txt."""
    path.write_bytes(IBAK.encode("cp1252"))
    return path


def write_pacp(folder: Path) -> Path:
    """Write the PACP tables into a folder and return that of the inspections."""
    for name, text in PACP.items():
        (folder / name).write_text(text, encoding="cp1252")
    return folder / "PACP_Inspections.csv"
