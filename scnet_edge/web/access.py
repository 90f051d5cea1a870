"""Who may see a page: this machine without further ado where the page says so, others by token."""

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

DEFAULT_HOST = "127.0.0.1"
# A name, an IPv4 address, or an IPv6 address in brackets; then a port.
HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,10})?")
LOOPBACK_NAMES = frozenset({"localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules of one server.

    Attributes:
        page: its name, which its token and cookie are kept under.
        token: what a visitor must show; None where everybody on this machine may look.
        names: host names that a `Host` header may have, besides addresses of this kind.
        loopback: whether addresses in a `Host` header must be loopback ones.
    """

    page: str
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
    def cookie_name(self) -> str:
        """What the browser keeps the cookie as; ports of one host share their cookies."""
        return f"scnet_edge_{self.page}"

    @property
    def cookie(self) -> str:
        """What a browser keeps instead of the token, which it cannot be computed back to."""
        key, page = (self.token or "").encode(), f"{self.page} page".encode()
        return hmac.new(key, page, hashlib.sha256).hexdigest()


def access_for(
    host: str, page: str, token_file: Path | None = None, *, token_always: bool = False
) -> Access:
    """Return the rules for a server on `host`: loopback may be open, all else needs the token.

    Args:
        host: that it listens on.
        page: the page's name.
        token_file: where the token is, or will be; None for `token_path`.
        token_always: on loopback, too, since the page writes: other users share this machine.
    """
    loopback, own = is_loopback(host), socket.gethostname().lower()
    outside = {own, f"{own.partition('.')[0]}.local", host.lower()}
    token = None
    if token_always or not loopback:
        token = read_token(token_file or token_path(page))
    names = LOOPBACK_NAMES if loopback else LOOPBACK_NAMES | outside
    return Access(page=page, token=token, names=names, loopback=loopback)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK_NAMES


def parse_address(text: str, *, default_port: int) -> tuple[str, int]:
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
    return host, default_port if port is None else port


def token_path(page: str) -> Path:
    """Return where this user's token of a page is; systemd's state folder for a service."""
    folders = state_folders()
    if not folders:
        raise ConfigError("this user has no home to keep a page's token in; set XDG_STATE_HOME")
    return folders[-1] / f"{page}-token"


def read_token(path: Path) -> str:
    """Return the token in `path`, made at the first call; 256 bits, mode 0600.

    Raises:
        ConfigError: others may read the file, or it holds no token.
    """
    try:
        return make_secret(path)
    except OSError as e:
        raise ConfigError(f"{path}: the page's token cannot be kept there ({e.strerror})") from e


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
