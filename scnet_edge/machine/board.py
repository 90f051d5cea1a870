"""What compiled code depends on besides its graph: the machine, as far as its files tell."""

from __future__ import annotations

import hashlib
import platform
import re
from pathlib import Path

RELEASE = Path("/etc/nv_tegra_release")


def system_text(path: str | Path) -> str:
    """Return a file of the system; empty where it does not exist or may not be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def l4t_version(nv_tegra_release: str) -> tuple[int, ...] | None:
    """Return (36, 4, 3) of `# R36 (release), REVISION: 4.3, ...`; None of anything else."""
    match = re.match(r"# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", nv_tegra_release)
    return tuple(map(int, f"{match[1]}.{match[2]}".split("."))) if match else None


def jetson_release() -> str:
    """Return the release of a Jetson's software, `L4T 36.4.3`, or `not a Jetson`."""
    l4t = l4t_version(system_text(RELEASE))
    return f"L4T {'.'.join(map(str, l4t))}" if l4t else "not a Jetson"


def cpu_name(cpuinfo: str) -> str:
    """Return what of /proc/cpuinfo distinguishes a CPU for compiled code: model and features."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.M)
    features = " ".join(sorted(flags[1].split())) if flags else ""
    digest = hashlib.sha256(features.encode()).hexdigest()[:8]
    return f"{platform.machine()} {found[1].strip() if found else ''} features {digest}"
