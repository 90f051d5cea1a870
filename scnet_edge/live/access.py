"""Who may look at a run: this machine without further ado, anybody else with the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from scnet_edge.errors import ConfigError
from scnet_edge.state import make_secret, state_folders

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8765
COOKIE = "scnet_edge_live"
# A name, an IPv4 address, or an IPv6 address in brackets; then a port.
HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,10})?")
LOOPBACK_NAMES = frozenset({"localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules of one server.

    Attributes:
        token: what a visitor must show; None on loopback.
        names: host names that a `Host` header may have, besides addresses of this kind.
        loopback: whether addresses in a `Host` header must be loopback ones.
    """

    token: str | None
    names: frozenset[str]
    loopback: bool

    def host_allowed(self, host: str) -> bool:
        """Return whether a `Host` header names us; a foreign name is a rebound DNS entry.

        An address is never rebound: only names are looked up.
        """
        name = _host_name(host)
        if name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self.loopback

    def origin_allowed(self, origin: str | None, host: str) -> bool:
        """Return whether a page of ours asks, or no page at all."""
        if origin is None:
            return True
        return origin.partition("://")[2].lower() == host.lower()

    def token_right(self, shown: str) -> bool:
        """Compare in constant time."""
        return self.token is not None and hmac.compare_digest(shown.encode(), self.token.encode())

    def cookie_right(self, shown: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(shown.encode(), self.cookie.encode())

    @property
    def cookie(self) -> str:
        """What a browser keeps instead of the token, which it cannot be computed back to."""
        return hmac.new((self.token or "").encode(), b"live page", hashlib.sha256).hexdigest()


def access_for(host: str, token_file: Path | None = None) -> Access:
    """Return the rules for a server on `host`: loopback is open, all else needs the token."""
    if is_loopback(host):
        return Access(token=None, names=LOOPBACK_NAMES, loopback=True)
    own = socket.gethostname().lower()
    names = LOOPBACK_NAMES | {own, f"{own.partition('.')[0]}.local", host.lower()}
    return Access(token=read_token(token_file or token_path()), names=names, loopback=False)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK_NAMES


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, `HOST`, `:PORT` or `PORT`; [::1] for IPv6.

    Raises:
        ConfigError: no such form, or a port that is none.
    """
    if text.isdecimal():
        text = f":{text}"
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or DEFAULT_HOST, parts.port
    except ValueError:
        host, port = "", None
        parts = urlsplit("//")
    wrong = not host or parts.path or parts.query or parts.fragment or "@" in text
    if wrong or (port is None and text.rstrip("]").endswith(":")):
        raise ConfigError(f"{text!r}: expected HOST:PORT with a port from 0 to 65535")
    return host, DEFAULT_PORT if port is None else port


def token_path() -> Path:
    """Return where this user's token is kept; systemd's state folder for a service."""
    folders = state_folders()
    if not folders:
        raise ConfigError("live page: this user has no home to keep a token in; set XDG_STATE_HOME")
    return folders[-1] / "live-token"


def read_token(path: Path) -> str:
    """Return the token in `path`, made at the first call; 256 bits, mode 0600.

    Raises:
        ConfigError: others may read the file, or it holds no token.
    """
    try:
        return make_secret(path)
    except OSError as e:
        raise ConfigError(f"{path}: the live token cannot be kept there ({e.strerror})") from e


def is_origin(origin: str | None) -> bool:
    """Return whether an `Origin` header is missing, `null`, or a URL's scheme, host and port."""
    if origin is None or origin == "null":
        return True
    scheme, _, host = origin.partition("://")
    return scheme.isalnum() and bool(_host_name(host))


def _host_name(host: str) -> str:
    """Return the name in a `Host` header, lower case; empty where it is none."""
    match = HOST.fullmatch(host)
    return match[1].strip("[]").lower() if match else ""
