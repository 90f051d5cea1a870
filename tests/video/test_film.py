"""Films of every kind that people have: all pictures, at their own times, or said to be lost."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from films import wall, walls, write_film

from scnet_edge.errors import InputError
from scnet_edge.types import Frame
from scnet_edge.video.film import Item, Missing, Picture, Remark, open_film

COUNT = 12
FFMPEG_KNOWS = [
    ("a.mp4", "libx264", {}),
    ("a.mov", "mpeg4", {}),
    ("a.m4v", "mpeg4", {}),
    ("a.3gp", "mpeg4", {}),
    ("a.mkv", "libx265", {"x265-params": "log-level=0"}),
    ("a.webm", "libvpx-vp9", {"deadline": "realtime", "b": "2M"}),
    ("a.avi", "mjpeg", {}),
    ("b.avi", "mpeg4", {"bf": "2", "b": "2M"}),
    ("c.avi", "ffv1", {}),
    ("d.avi", "libx264", {"bf": "3"}),
    ("a.wmv", "wmv2", {"b": "2M"}),
    ("a.asf", "wmv1", {"b": "2M"}),
    ("a.flv", "flv", {"b": "2M"}),
    ("a.mpg", "mpeg1video", {"b": "2M"}),
    ("a.vob", "mpeg2video", {"bf": "2", "b": "2M"}),
    ("a.ts", "libx264", {}),
    ("a.mts", "libx264", {}),
    ("a.m2ts", "mpeg2video", {"b": "2M"}),
    ("a.mxf", "mpeg2video", {"b": "2M"}),
    ("a.gif", "gif", {}),
    ("b.ts", "libx264", {"bf": "3", "g": "6", "x264-params": "open-gop=1"}),
    ("c.ts", "libx264", {"g": "6", "x264-params": "intra-refresh=1"}),
    ("a.h264", "libx264", {}),
    ("a.mystery", "libx264", {}),
]
FORMATS = {"a.vob": "vob", "a.mts": "mpegts", "a.m2ts": "mpegts", "a.mystery": "matroska"}
PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8"}


def read(path: Path) -> list[Item]:
    return list(open_film(path).items)


def seen(items: Sequence[Item]) -> list[Picture]:
    return [i for i in items if isinstance(i, Picture) and i.frame.size]


def lost_s(items: Sequence[Item]) -> list[float]:
    return [i.time_s for i in items if isinstance(i, Picture) and not i.frame.size]


def apart(one: Frame, other: Frame) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize(("name", "codec", "options"), FFMPEG_KNOWS)
def test_every_container_and_codec_gives_its_pictures_at_their_times(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    drawn = walls(COUNT)
    path = write_film(
        tmp_path / name,
        drawn,
        codec,
        fps=25,
        options=options,
        pixel_format=PIXELS.get(codec, "yuv420p"),
        format=FORMATS.get(name),
    )
    film = open_film(path)
    items = list(film.items)
    assert [type(i) for i in items] == [Picture] * COUNT
    assert not lost_s(items)
    for i, picture in enumerate(seen(items)):
        assert picture.time_s == pytest.approx(i / 25, abs=0.0051)
        assert picture.frame.flags.c_contiguous
        assert apart(picture.frame, drawn[i]) < (25 if codec == "gif" else 5)
        others = [apart(picture.frame, d) for d in drawn]
        assert int(np.argmin(others)) == i
    assert film.fps == pytest.approx(25, rel=0.01)
    assert film.changed == ""


def test_pictures_have_the_times_of_the_file(tmp_path: Path) -> None:
    times_s = [0.0, 0.1, 0.5, 0.6, 1.4, 1.5, 1.6, 2.9, 3.0]
    for name in ("vfr.mp4", "vfr.mkv"):
        film = open_film(write_film(tmp_path / name, walls(9), times_s=times_s))
        found = [picture.time_s for picture in seen(list(film.items))]
        assert found == pytest.approx(times_s, abs=0.001)


def test_a_stream_without_times_has_the_rate_that_its_pictures_state(tmp_path: Path) -> None:
    """FFmpeg takes 25 a second for the average of any raw stream."""
    path = write_film(tmp_path / "a.m4v", walls(30), "mpeg4", fps=10, format="m4v")
    items = read(path)
    assert not lost_s(items)
    assert [i.time_s for i in seen(items)] == pytest.approx([i / 10 for i in range(30)])


def test_a_pause_of_the_recorder_is_no_missing_end(tmp_path: Path) -> None:
    times_s = [i / 10 + 3 * (i >= 15) for i in range(30)]
    film = open_film(write_film(tmp_path / "paused.mkv", walls(30), times_s=times_s))
    items = list(film.items)
    assert [i.time_s for i in seen(items)] == pytest.approx(times_s, abs=0.001)
    assert len(items) == 30


def test_a_film_begins_at_0_whatever_its_clock_says(tmp_path: Path) -> None:
    times_s = [3600.5 + i / 10 for i in range(9)]
    path = write_film(tmp_path / "late.ts", walls(9), times_s=times_s)
    assert [i.time_s for i in seen(read(path))] == pytest.approx([i / 10 for i in range(9)])


def test_recordings_that_were_joined_go_on_one_behind_the_other(tmp_path: Path) -> None:
    for at_s in (0.0, 500.0):  # the second's clock starts anew, or lies far ahead
        one = write_film(tmp_path / "one.ts", walls(10), times_s=[i / 10 for i in range(10)])
        times_s = [at_s + i / 10 for i in range(10)]
        other = write_film(tmp_path / "other.ts", walls(10), times_s=times_s)
        joined = tmp_path / "joined.ts"
        joined.write_bytes(one.read_bytes() + other.read_bytes())
        items = read(joined)
        [jump] = [i for i in items if isinstance(i, Remark)]
        assert jump.kind == "clock_jump"
        assert "the file's clock jumps" in jump.detail
        pictures = [i for i in items if isinstance(i, Picture)]
        assert len(pictures) == 20
        steps = [b.time_s - a.time_s for a, b in pairwise(pictures)]
        assert steps == pytest.approx([0.1] * 19, abs=0.001)
        assert len(seen(items)) >= 16  # a stream's seam may cost those that wait at the decoder
        assert apart(pictures[-1].frame, wall(9)) < 5


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.ts", "libx264"), ("a.mkv", "libx264"), ("a.mpg", "mpeg2video"), ("a.flv", "flv")],
)
@pytest.mark.parametrize("content", ["zeros", "noise"])
def test_reading_goes_on_behind_damage_and_nothing_smeared_is_given(
    tmp_path: Path, name: str, codec: str, content: str
) -> None:
    options = {"g": "12", "b": "2M"}
    path = write_film(tmp_path / name, walls(60), codec, fps=25, options=options)
    whole = {round(i.time_s, 3): i.frame for i in seen(read(path))}
    data = bytearray(path.read_bytes())
    at, length = len(data) * 4 // 10, len(data) // 50
    noise = np.random.default_rng(1).integers(0, 256, length, np.uint8).tobytes()
    data[at : at + length] = bytes(length) if content == "zeros" else noise
    path.write_bytes(data)
    items = read(path)
    found = seen(items)
    missed = set(whole) - {round(i.time_s, 3) for i in found}
    # The FFmpeg of PyAV 19 gives FLV up at noise; then what is missing must be said.
    given_up = any(isinstance(i, Missing) for i in items)
    assert not given_up or name == "a.flv"
    assert 1 <= len(missed) <= (36 if given_up else 26)
    assert found[0].time_s == 0
    assert given_up or found[-1].time_s == max(whole)
    for picture in found:
        assert apart(picture.frame, whole[round(picture.time_s, 3)]) < 0.5
    times = [i.time_s for i in items if isinstance(i, Picture)]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("name", "codec", "container_options"),
    [
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.mkv", "libx264", {}),
        ("a.avi", "mjpeg", {}),
        ("a.wmv", "wmv2", {}),
        ("a.flv", "flv", {}),
    ],
)
def test_a_file_that_is_cut_gives_what_it_holds_and_says_what_is_missing(
    tmp_path: Path, name: str, codec: str, container_options: dict[str, str]
) -> None:
    path = write_film(
        tmp_path / name,
        walls(60),
        codec,
        pixel_format=PIXELS.get(codec, "yuv420p"),
        container_options=container_options,
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    *items, missing = read(path)
    assert isinstance(missing, Missing)
    assert 10 <= len(seen(items)) < 55
    assert missing.from_s == pytest.approx(items[-1].time_s)
    assert missing.to_s == pytest.approx(6.0, abs=0.4)


@pytest.mark.parametrize("codec", ["libx265", "libx264"])
def test_a_lost_sector_within_a_picture_is_damage_until_a_key_frame(
    tmp_path: Path, codec: str
) -> None:
    """The HEVC decoder shows such a picture, and those made from it, without a word."""
    options = {"g": "15", "crf": "4", "x265-params": "log-level=0:keyint=15"}
    film = write_film(tmp_path / "a.mp4", walls(40), codec, options=options)
    whole = {round(p.time_s, 3): p.frame for p in seen(read(film))}
    with av.open(str(film)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    struck = packets[20]
    data = bytearray(film.read_bytes())
    data[struck.pos + 60 : struck.pos + 100] = bytes(40)
    film.write_bytes(data)
    items = read(film)
    assert lost_s(items)
    assert any(p.time_s > 3.0 for p in seen(items)), "behind the next key frame all is well"
    for picture in seen(items):
        assert apart(picture.frame, whole[round(picture.time_s, 3)]) < 1


def test_a_checksum_in_hevc_tells_of_a_flipped_bit(tmp_path: Path) -> None:
    options = {"g": "10", "crf": "4", "x265-params": "log-level=0:keyint=10:hash=1"}
    film = write_film(tmp_path / "a.mp4", walls(20), "libx265", options=options)
    whole = {round(p.time_s, 3): p.frame for p in seen(read(film))}
    with av.open(str(film)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    struck = packets[4]
    assert struck.pos is not None
    for at in range(struck.pos + struck.size // 2, struck.pos + struck.size - 60, 40):
        data = bytearray(film.read_bytes())
        data[at] ^= 4
        (tmp_path / "b.mp4").write_bytes(data)
        items = read(tmp_path / "b.mp4")
        assert lost_s(items)
        for picture in seen(items):
            assert apart(picture.frame, whole[round(picture.time_s, 3)]) < 1


def test_an_avi_counts_the_pictures_that_are_lost(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.avi", walls(30), "mjpeg", pixel_format="yuvj420p")
    whole = {round(p.time_s, 3): p.frame for p in seen(read(film))}
    with av.open(str(film)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    data = bytearray(film.read_bytes())
    start, end = packets[9].pos - 8, packets[14].pos - 8  # with the heads of their chunks
    data[start:end] = bytes(end - start)
    film.write_bytes(data)
    found = {round(p.time_s, 3): p.frame for p in seen(read(film))}
    assert {0.8, 1.4, 2.9} <= found.keys() < whole.keys()
    for time_s, frame in found.items():
        assert apart(frame, whole[time_s]) < 1


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.avi", "huffyuv", "yuv422p"),  # whose decoder shows anything
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.avi", "rawvideo", "bgr24"),  # every picture as long as the next
        ("a.mkv", "ffv1", "yuv420p"),
    ],
)
def test_behind_bytes_that_were_cut_out_pictures_keep_their_times(
    tmp_path: Path, name: str, codec: str, pixel_format: str
) -> None:
    options = {"g": "6", "b": "3M"} if codec == "mpeg4" else {}
    path = write_film(tmp_path / name, walls(40), codec, pixel_format=pixel_format, options=options)
    whole = {round(p.time_s, 3): p.frame for p in seen(read(path))}
    data = path.read_bytes()
    at, length = len(data) * 2 // 5, len(data) // 9
    path.write_bytes(data[:at] + data[at + length :])
    found = {round(p.time_s, 3): p.frame for p in seen(read(path))}
    assert 20 <= len(found) <= 38
    for time_s, frame in found.items():
        assert apart(frame, whole[time_s]) < 0.5
    if name == "a.avi":
        assert max(found) == max(whole)


@pytest.mark.parametrize(
    ("size_hw", "pixel_format", "fps"),
    [((576, 720), "yuv420p", Fraction(25)), ((480, 720), "yuv411p", Fraction(30000, 1001))],
)
def test_pictures_that_a_capture_of_dv_has_dropped_are_told_by_the_timecode(
    tmp_path: Path, size_hw: tuple[int, int], pixel_format: str, fps: Fraction
) -> None:
    path = tmp_path / "a.dv"
    write_film(path, walls(32, size_hw), "dvvideo", fps=fps, pixel_format=pixel_format)
    data = path.read_bytes()
    size = len(data) // 32
    path.write_bytes(data[: 3 * size] + data[28 * size :])  # over a second's end
    items = read(path)
    [said] = [i for i in items if isinstance(i, Remark) and i.kind == "clock_jump"]
    assert said.time_s == pytest.approx(3 / fps, abs=0.001)
    assert "jumps by +26 pictures" in said.detail
    assert len(seen(items)) == 7


def test_a_picture_of_dv_that_lost_bytes_is_not_shown(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.dv", walls(9, (576, 720)), "dvvideo", fps=25)
    whole = [p.frame for p in seen(read(path))]
    data = path.read_bytes()
    at = len(data) // 2
    path.write_bytes(data[:at] + data[at + 50_000 :])
    items = read(path)
    assert len(seen(items)) >= 4
    assert lost_s(items)
    for picture in seen(items):
        assert min(apart(picture.frame, frame) for frame in whole) < 1


@pytest.mark.parametrize(
    ("name", "codec", "least"),
    [("a.mxf", "mpeg2video", 0), ("a.rm", "rv20", 22), ("b.rm", "rv10", 22), ("a.ogv", "vp8", 22)],
)
def test_behind_a_hole_pictures_have_their_own_times_or_none(
    tmp_path: Path, name: str, codec: str, least: int
) -> None:
    """MXF counts its pictures, so behind a hole none has a time; a page of Ogg has one time."""
    drawn = walls(60, (288, 352) if codec in ("rv10", "mpeg2video") else (144, 176))
    options = {"g": "12", "b": "3M", "deadline": "good", "cpu-used": "5"}
    encoder = "libvpx" if codec == "vp8" else codec
    path = write_film(tmp_path / name, drawn, encoder, fps=25, options=options)
    whole = {round(p.time_s, 3): p.frame for p in seen(read(path))}
    assert len(whole) == 60
    assert not lost_s(read(path))
    data = path.read_bytes()
    for share, taken in ((0.3, 0.1), (0.5, 0.05), (0.6, 0.2)):
        at = int(len(data) * share)
        path.write_bytes(data[:at] + data[at + int(len(data) * taken) :])
        items = read(path)
        found = {round(p.time_s, 3): p.frame for p in seen(items)}
        assert len(found) < 60
        assert share > 0.3 or sum(time_s > 1.4 for time_s in found) >= least
        for time_s, frame in found.items():
            assert apart(frame, whole[time_s]) < 0.5, (share, time_s)


@pytest.mark.parametrize(("name", "codec"), [("a.h264", "libx264"), ("a.m2v", "mpeg2video")])
def test_a_stream_without_times_says_that_pictures_are_missing(
    tmp_path: Path, name: str, codec: str
) -> None:
    """Recorders write such files; nothing in them tells how long a hole lasted."""
    path = write_film(tmp_path / name, walls(60), codec, fps=25, options={"g": "12"})
    assert all(isinstance(i, Picture) for i in read(path))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3] + data[len(data) // 2 :])
    [said] = [i for i in read(path) if isinstance(i, Remark)]
    assert said.kind == "clock_jump"
    assert 0 < said.time_s < 1.5
    assert "what follows may be later than is said" in said.detail


def test_fragments_of_an_mp4_that_are_not_reached_are_missing(tmp_path: Path) -> None:
    movflags = {"movflags": "frag_keyframe+empty_moov"}
    path = write_film(
        tmp_path / "a.mp4", walls(60), options={"g": "12"}, container_options=movflags
    )
    assert len(read(path)) == 60
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3] + data[len(data) // 2 :])
    items = read(path)
    assert len(seen(items)) < 40
    missing = items[-1]
    assert isinstance(missing, Missing)
    assert missing.to_s == pytest.approx(5.0, rel=0.3)  # about a sixth is gone for good


@pytest.mark.parametrize("name", ["a.y4m", "a.rm"])
def test_a_film_without_compression_and_realmedia_say_what_is_missing(
    tmp_path: Path, name: str
) -> None:
    codec = "rawvideo" if name == "a.y4m" else "rv20"
    path = write_film(tmp_path / name, walls(40, (144, 176)), codec, fps=25)
    assert len(read(path)) == 40
    data = path.read_bytes()
    at = len(data) // 2
    path.write_bytes(data[:at] + (data[at + 3000 :] if name == "a.y4m" else b""))
    assert isinstance(read(path)[-1], Missing)


def test_of_several_films_in_a_file_one_is_read_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    small, large = walls(5, (64, 96)), walls(5, (128, 192))
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=10) for _ in range(2)]
        for stream, frames in zip(streams, (small, large), strict=True):
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuv420p"
        for i in range(5):
            for stream, frames in zip(streams, (small, large), strict=True):
                frame = av.VideoFrame.from_ndarray(frames[i], format="bgr24")
                frame.pts, frame.time_base = i, Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    film = open_film(path)
    sizes = {p.frame.shape for p in seen(list(film.items))}
    number = 1 if sizes == {(64, 96, 3)} else 2  # FFmpeg's choice
    assert film.changed == f"2 films in the file, number {number} is read"
    assert len(sizes) == 1


def test_a_film_behind_sound_is_read_to_its_last_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        film = container.add_stream("libx264", rate=10, options={"bf": "3"})
        film.height, film.width, film.pix_fmt = 96, 128, "yuv420p"
        silence = av.AudioFrame(format="s16", layout="mono", samples=8000)
        silence.sample_rate, silence.pts = 8000, 0
        container.mux(sound.encode(silence))
        for i, wall_ in enumerate(walls(10, (96, 128))):
            frame = av.VideoFrame.from_ndarray(wall_, format="bgr24")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            container.mux(film.encode(frame))
        for stream in (sound, film):
            container.mux(stream.encode())
    assert len(seen(read(path))) == 10


def test_the_cover_of_a_sound_file_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "sound.mka"
    cover = cv2.imencode(".jpg", wall())[1].tobytes()
    with av.open(str(path), "w", format="matroska") as container:
        sound = container.add_stream("aac", rate=8000)
        container.add_attachment("cover.jpg", "image/jpeg", cover)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with av.open(str(path)) as container:
        assert container.streams.video, "FFmpeg takes the cover for a video"
    with pytest.raises(InputError, match="no video in it"):
        open_film(path)


def test_a_stream_without_a_decoder_is_refused(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", walls(5), "libx264")
    data = film.read_bytes().replace(b"avc1", b"zzz1")
    film.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.mp4: .* finds no video in it"):
        read(film)


def test_a_stream_that_is_cut_ends_where_it_ends(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.ts", walls(60), options={"g": "10"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    items = read(path)
    assert 20 < len(seen(items)) < 50
    assert all(isinstance(i, Picture) for i in items)


def test_pictures_before_the_first_key_frame_are_said_to_be_lost(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.ts", walls(40), options={"g": "20", "bf": "0"})
    whole = seen(read(path))
    data = path.read_bytes()
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    # The tables stay; the pictures begin in the middle of the first group.
    path.write_bytes(b"".join(packets[:3] + packets[len(packets) // 4 :]))
    items = read(path)
    assert lost_s(items)[0] == 0
    found = seen(items)
    assert 20 <= len(found) < 40
    for picture, expected in zip(found[-20:], whole[-20:], strict=True):
        assert apart(picture.frame, expected.frame) < 0.5


def test_a_film_whose_first_group_is_lost_keeps_its_times(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", walls(30), fps=25, options={"g": "10", "bf": "2"})
    whole = {round(p.time_s, 3): p.frame for p in seen(read(path))}
    with av.open(str(path)) as container:
        first = next(p for p in container.demux(video=0) if p.size)
    data = bytearray(path.read_bytes())
    data[first.pos : first.pos + first.size] = bytes(first.size)
    path.write_bytes(data)
    items = read(path)
    assert lost_s(items)[0] == 0
    found = {round(p.time_s, 3): p.frame for p in seen(items)}
    assert sorted(found) == [round(i / 25, 3) for i in range(10, 30)]
    for time_s, frame in found.items():
        assert apart(frame, whole[time_s]) < 1


@pytest.mark.parametrize(
    ("name", "codec"), [("a.wmv", "wmv2"), ("b.wmv", "wmv1"), ("a.webm", "libvpx")]
)
def test_a_lost_sector_in_film_whose_decoder_says_nothing_is_damage(
    tmp_path: Path, name: str, codec: str
) -> None:
    options = {"g": "15", "b": "3M", "deadline": "good", "cpu-used": "5"}
    drawn = walls(60, (288, 352))  # a part of a WMV holds many smaller pictures
    path = write_film(tmp_path / name, drawn, codec, fps=25, options=options)
    whole = {round(p.time_s, 3): p.frame for p in seen(read(path))}
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at : at + 1024] = bytes(1024)
    path.write_bytes(data)
    found = seen(read(path))
    assert 20 < len(found) < 60
    for picture in found:
        assert apart(picture.frame, whole[round(picture.time_s, 3)]) < 1


def test_a_short_film_that_ends_with_b_frames_is_whole(tmp_path: Path) -> None:
    items = read(write_film(tmp_path / "a.flv", walls(40), fps=25, options={"bf": "3"}))
    assert [type(i) for i in items] == [Picture] * 40


def test_a_change_of_size_within_a_file(tmp_path: Path) -> None:
    one = write_film(tmp_path / "1.ts", walls(10, (96, 128)))
    two = write_film(tmp_path / "2.ts", walls(10, (64, 96)))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    found = seen(read(joined))
    sizes = [picture.frame.shape[:2] for picture in found]
    assert sizes == sorted(sizes, reverse=True)
    assert len(found) >= 16
    assert apart(found[-1].frame, wall(9, (64, 96))) < 5


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.mp4", b"hello, this is text" * 100),
        ("text.txt", b"hello, this is text" * 100),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.ts\n#EXT-X-ENDLIST\n"),
        ("list.mkv", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("empty.avi", b""),
        ("zeros.mpg", bytes(100_000)),
        ("picture.mp4", cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()),
    ],
)
def test_what_is_no_film_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    write_film(tmp_path / "a.ts", walls(5))
    with pytest.raises(InputError) as caught:
        open_film(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="no video in it"):
        open_film(path)


@pytest.mark.parametrize("name", [b"Sch\xe4den.mp4", b"http:cam.mp4", b"%d [x].mp4", b"-i.mp4"])
def test_a_name_is_only_a_name(tmp_path: Path, name: bytes) -> None:
    made = write_film(tmp_path / "a.mp4", walls(5))
    path = tmp_path / os.fsdecode(name)
    made.rename(path)
    assert len(seen(read(path))) == 5


def test_leaving_early_closes_the_file(tmp_path: Path) -> None:
    film = open_film(write_film(tmp_path / "a.mp4", walls(30)))
    next(film.items)
    film.items.close()
    assert list(film.items) == []


def test_what_was_done_to_the_pictures_is_said(tmp_path: Path) -> None:
    film = open_film(
        write_film(
            tmp_path / "a.mpg",
            walls(6, (96, 120)),
            "mpeg2video",
            fps=25,
            pixel_aspect=Fraction(16, 15),
            interlaced=True,
        )
    )
    assert film.changed == "120x96 px, pixels 16:15 made square: 128x96 px"
    [said] = [i for i in film.items if isinstance(i, Remark)]
    assert said.kind == "deinterlaced"
    expected = "interlaced from 0.0 s on, top field first (as the file says): deinterlaced"
    assert said.detail == expected
