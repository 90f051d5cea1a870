"""The layer around the application that nobody gets past without right, on HTTP and WebSocket."""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scnet_edge.web.accept import Connections
from scnet_edge.web.access import Access, is_origin

OPEN_PATHS = frozenset({"/healthz", "/readyz"})  # a prober has no token, and learns one word
MAX_FAILURES, FAILURES_S = 20, 60.0
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; media-src 'self'; "
    "script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Connection": "close",  # no connection idles between two requests
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a request may be.

    Attributes:
        writes: `POST` of JSON is let through, from a page of ours alone.
        max_body_bytes: of a request.
    """

    writes: bool = False
    max_body_bytes: int = 1024


READ_ONLY = Rules()


class Guard:
    """An ASGI application around another."""

    def __init__(
        self, app: ASGIApp, access: Access, connections: Connections, rules: Rules = READ_ONLY
    ) -> None:
        assert access.token is not None or not rules.writes, "a page that writes needs a token"
        self._app, self._rules = app, rules
        self._connections = connections
        self._access = access
        self._failures_s: deque[float] = deque(maxlen=MAX_FAILURES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["client"]:  # None: it had gone before it was accepted
            self._connections.has_asked(tuple(scope["client"]), lasts=scope["type"] == "websocket")
        refusal = self._refusal(scope)
        self._connections.refused += refusal is not None
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})  # HTTP 403: not accepted
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, access = Headers(scope=scope), self._access
        host, hosts = headers.get("host", ""), headers.getlist("host")
        if len(hosts) != 1 or not access.host_allowed(host):
            return PlainTextResponse("This server has another name.\n", 421)
        if len(headers.getlist("origin")) > 1 or not is_origin(headers.get("origin")):
            return PlainTextResponse("Expected an Origin, found none.\n", 400)
        if not access.origin_allowed(headers.get("origin"), host):
            return PlainTextResponse("Pages of other sites may not ask here.\n", 403)
        if scope["type"] == "http" and (refusal := self._refusal_of_kind(scope, headers)):
            return refusal
        if access.token is None or scope["path"] in OPEN_PATHS:
            return None
        return self._refusal_of_stranger(scope, headers)

    def _refusal_of_kind(self, scope: Scope, headers: Headers) -> Response | None:
        writes = scope["method"] == "POST" and self._rules.writes
        if scope["method"] not in ("GET", "HEAD") and not writes:
            return PlainTextResponse("Nothing here can be changed in this way.\n", 405)
        if _body_bytes(headers) > self._rules.max_body_bytes:
            return PlainTextResponse("The request is too large.\n", 413)
        if not writes:
            return None
        if "origin" not in headers and "authorization" not in headers:
            return PlainTextResponse("Expected an Origin, found none.\n", 403)
        if headers.get("content-type") != "application/json":  # which no form of a page can send
            return PlainTextResponse("Expected application/json.\n", 415)
        return None

    def _refusal_of_stranger(self, scope: Scope, headers: Headers) -> Response | None:
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        shown = dict(query).get("token")
        if shown is not None and self._access.token_right(shown):
            return self._exchange(scope, query)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._access.token_right(bearer.strip()):
            return None
        cookie = _cookie(headers, self._access.cookie_name)
        if cookie and self._access.cookie_right(cookie):
            return None
        return self._refuse_token() if shown or bearer or cookie else _please()

    def _exchange(self, scope: Scope, query: list[tuple[str, str]]) -> Response:
        """Give a cookie for the token, and an address without it, which may be looked at."""
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        path = "/" + scope["path"].lstrip("/")  # never another host's
        response = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
        secure = scope.get("scheme") in ("https", "wss")
        name, cookie = self._access.cookie_name, self._access.cookie
        response.set_cookie(name, cookie, httponly=True, samesite="strict", secure=secure)
        return response

    def _refuse_token(self) -> Response:
        """Refuse a wrong token; many wrong ones are answered without a look for a while."""
        now_s = time.monotonic()
        full = len(self._failures_s) == MAX_FAILURES
        if full and now_s - self._failures_s[0] < FAILURES_S:
            return PlainTextResponse("Too many wrong tokens; wait a minute.\n", 429)
        self._failures_s.append(now_s)
        return PlainTextResponse("Wrong token.\n", 401)


def _please() -> Response:
    return PlainTextResponse("Open the address with ?token= that was printed at its start.\n", 401)


def _body_bytes(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdecimal():
        return sys.maxsize
    return int(length)


def _cookie(headers: Headers, name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
