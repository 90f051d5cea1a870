"""The live page in a thread of its own, beside the run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scnet_edge.live.app import STATUS_S, Show, make_app
from scnet_edge.web.accept import Connections
from scnet_edge.web.access import access_for, parse_address
from scnet_edge.web.server import Served, serving

PAGE, DEFAULT_PORT = "live", 8765


@contextmanager
def open_live(address: str, show: Show, *, token_file: Path | None = None) -> Iterator[Served]:
    """Serve until the context is left.

    Args:
        address: `HOST:PORT`; port 0 takes a free one. Loopback is open to this machine, any other
            address needs the token.
        show: what there is to see.
        token_file: where the token is, or will be; None for `access.token_path`.

    Raises:
        ConfigError: no such address, in use, or the token file is not private.
    """
    where = parse_address(address, default_port=DEFAULT_PORT)
    access, connections = access_for(where[0], PAGE, token_file), Connections()
    app = make_app(show, connections)

    async def sample() -> None:
        while True:
            show.sample()
            await asyncio.sleep(STATUS_S)

    with serving(where, app, access, connections=connections, beside=sample) as served:
        yield served
