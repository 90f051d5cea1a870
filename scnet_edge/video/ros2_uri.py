"""What `ros2://NAME?domain=0&router=tcp/HOST:PORT` names: topics of a robot, by its router."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from scnet_edge.errors import InputError
from scnet_edge.redaction import redact

ROUTER = "tcp/localhost:7447"
LAST_DOMAIN = 232
NAME = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)
ENDPOINT = re.compile(r"tcp/(?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the URI names.

    Attributes:
        name: a topic, or what a sink's topics begin with; without a slash before it.
        domain: the ROS domain.
        router: zenoh's endpoint of the router.
    """

    name: str
    domain: int = 0
    router: str = ROUTER

    @property
    def address(self) -> tuple[str, int]:
        """The router's host and port."""
        match = ENDPOINT.fullmatch(self.router)
        assert match is not None
        return match["host"].strip("[]"), int(match["port"])


def parse_place(uri: str, *, default: str = "") -> Place:
    """Return what a URI names; `default` stands for a name that is left out.

    Raises:
        InputError: a name that ROS does not take, an unknown option, or one out of range.
    """
    shown = redact(uri)
    rest, _, query = uri.partition(":")[2].partition("?")
    name = rest.strip("/") or default
    if not NAME.fullmatch(name):
        raise InputError(f"{shown}: expected the name of a topic, as in ros2://camera/image_raw")
    given = {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}
    domain, router = given.pop("domain", "0"), given.pop("router", ROUTER)
    if given:
        raise InputError(f"{shown}: unknown option {min(given)!r}, expected domain or router")
    if not re.fullmatch(r"\d{1,3}", domain, re.ASCII) or int(domain) > LAST_DOMAIN:
        raise InputError(f"{shown}: domain={domain}, expected a number from 0 to {LAST_DOMAIN}")
    match = ENDPOINT.fullmatch(router)
    if not match or not 0 < int(match["port"]) < 65_536:
        raise InputError(f"{shown}: expected router=tcp/HOST:PORT, as in {ROUTER}")
    return Place(name=name, domain=int(domain), router=router)
