from pathlib import Path

import pytest

from scnet_edge.doctor.checks import check_cameras, check_gstreamer


def fake_gstreamer(folder: Path, elements: str) -> None:
    """Put programs there that know a few elements."""
    (folder / "gst-launch-1.0").write_text("#!/bin/sh\n")
    inspect = f'#!/bin/sh\ncase " {elements} " in *" $2 "*) exit 0;; esac\nexit 1\n'
    (folder / "gst-inspect-1.0").write_text(inspect)
    for name in ("gst-launch-1.0", "gst-inspect-1.0"):
        (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("elements", "verdict", "found"),
    [
        (None, "warn", "not installed"),
        ("videoconvert rtspsrc", "warn", "without pnmenc"),
        ("videoconvert rtspsrc pnmenc", "ok", "installed, without nvarguscamerasrc"),
        ("videoconvert rtspsrc pnmenc nvarguscamerasrc", "ok", "installed, with nvarguscamerasrc"),
    ],
)
def test_what_gstreamer_can_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elements: str | None, verdict: str, found: str
) -> None:
    if elements is not None:
        fake_gstreamer(tmp_path, elements)
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere" if elements is None else f"{tmp_path}:/bin")
    check = check_gstreamer()
    assert (check.verdict, bool(check.remedy)) == (verdict, verdict == "warn")
    assert check.found.startswith(found)


def test_devices_are_listed_or_said_to_be_none() -> None:
    assert "/dev/video" in check_cameras()[0].found
