"""The page on paper, printed by a Chromium that is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from scnet_edge.errors import InputError
from scnet_edge.files import write_file

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
LONGEST_S = 180
# No visits home while it starts; the page itself asks for nothing.
QUIET = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def print_pdf(page: Path, pdf: Path) -> None:
    """Write the page as PDF.

    Raises:
        InputError: no browser to print with, or it fails.
    """
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise InputError(
            f"--pdf needs Chromium or Chrome to print with, found none of {', '.join(BROWSERS)}; "
            f"install one, or open {page} in a browser and print it"
        )
    with tempfile.TemporaryDirectory(prefix="scnet-edge-") as profile:
        made = Path(profile) / "report.pdf"
        root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses root otherwise
        command = [browser, *QUIET, *root, f"--user-data-dir={profile}"]
        try:
            done = subprocess.run(
                [
                    *command,
                    "--no-pdf-header-footer",
                    f"--print-to-pdf={made}",
                    page.absolute().as_uri(),
                ],
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"{page}: {browser} did not print it within {LONGEST_S} s") from None
        if done.returncode or not made.is_file():
            last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
            raise InputError(f"{page}: {browser} could not print it: {last}")
        write_file(pdf, made.read_bytes())
