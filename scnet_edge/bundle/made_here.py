"""Whether compiled code was made by this user on this machine: only that is ever run.

Compiled code is a program. A bundle may arrive with some in its `device/` folder, hashes and all.
So what is compiled here is sealed with a key that never leaves this user's state folder; code
without the seal counts as not there. A service gets the key from systemd, as a credential.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from scnet_edge.engines.compiled import COMPILED, mend
from scnet_edge.errors import ConfigError, EngineError
from scnet_edge.files import read_file, write_file
from scnet_edge.state import make_secret, read_secret, state_folders

SEAL, KEY = "seal", "device-key"
MAX_BYTES = 16 * 2**20


class NotMadeHere(EngineError):
    """Compiled code lies there and this user's key has not sealed it."""


def seal(folder: Path) -> None:
    """Seal a folder of compiled code; its record lists the hash of every file.

    Raises:
        EngineError: there is no place for the key.
    """
    reasons = ["this user has no home; set XDG_STATE_HOME"]
    for place in state_folders():
        try:
            key = make_secret(place / KEY)
        except (OSError, ConfigError) as e:
            reasons.append(f"{place / KEY}: {getattr(e, 'strerror', None) or e}")
            continue
        return write_file(folder / SEAL, _digest(key, folder).encode())
    raise EngineError(f"compiled code cannot be sealed as made here: {reasons[-1]}")


def require_made_here(folder: Path) -> None:
    """Raise NotMadeHere unless one of this user's keys sealed the folder as it is."""
    try:
        shown = read_file(folder / SEAL, MAX_BYTES).decode("ascii", "replace")
        if any(hmac.compare_digest(shown.encode(), _digest(k, folder).encode()) for k in _keys()):
            return
    except (OSError, ConfigError):
        pass  # no seal, or nothing that could be sealed
    raise NotMadeHere(f"{folder}: not compiled by this user on this machine; {mend(folder)}")


def key_file() -> Path | None:
    """Return this user's key, for a service that shall run what this user compiles; None: none."""
    return next((k for place in state_folders() if (k := place / KEY).is_file()), None)


def _keys() -> list[str]:
    places = [place / KEY for place in state_folders()]
    if credentials := os.environ.get("CREDENTIALS_DIRECTORY"):
        places.append(Path(credentials) / KEY)
    found = []
    for path in places:
        try:
            found.append(read_secret(path))
        except (OSError, ConfigError):
            continue
    return [key for key in found if key is not None]


def _digest(key: str, folder: Path) -> str:
    data = read_file(folder / COMPILED, MAX_BYTES)
    return hmac.new(key.encode(), data, hashlib.sha256).hexdigest()
