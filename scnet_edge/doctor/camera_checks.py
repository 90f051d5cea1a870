"""What `doctor` finds out about cameras: devices, and whether GStreamer can read more of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from scnet_edge.machine.system import Check

ELEMENTS = ("pnmenc", "videoconvert", "rtspsrc")
INSTALL = (
    "apt install gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad, "
    "for gst: and csi: sources; USB, RTSP and HTTP cameras need none of it"
)


def check_cameras() -> list[Check]:
    """Return the video devices, and GStreamer as `run --source gst:` and `csi:` use it."""
    devices = sorted(str(path) for path in Path("/dev").glob("video*"))
    return [
        Check(name="cameras", verdict="ok", found=", ".join(devices) or "no /dev/video*"),
        check_gstreamer(),
    ]


def check_gstreamer() -> Check:
    """Return whether gst-launch-1.0 and the elements it is given are here."""
    inspect = shutil.which("gst-inspect-1.0")
    if not inspect or not shutil.which("gst-launch-1.0"):
        return Check(name="gstreamer", verdict="warn", found="not installed", remedy=INSTALL)
    if lacking := [name for name in ELEMENTS if not _exists(inspect, name)]:
        found = f"without {', '.join(lacking)}"
        return Check(name="gstreamer", verdict="warn", found=found, remedy=INSTALL)
    argus = _exists(inspect, "nvarguscamerasrc")
    found = f"installed, {'with' if argus else 'without'} nvarguscamerasrc for csi: cameras"
    return Check(name="gstreamer", verdict="ok", found=found)


def _exists(inspect: str, element: str) -> bool:
    command = [inspect, "--exists", element]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
