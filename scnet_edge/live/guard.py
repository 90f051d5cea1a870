"""The layer around the application that nobody gets past without right, on HTTP and WebSocket."""

from __future__ import annotations

import time
from collections import deque
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scnet_edge.live.accept import Connections
from scnet_edge.live.access import COOKIE, Access, is_origin

MAX_BODY_BYTES = 1024
OPEN_PATHS = frozenset({"/healthz", "/readyz"})  # a prober has no token, and learns one word
MAX_FAILURES, FAILURES_S = 20, 60.0
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; script-src 'self'; "
    "style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Connection": "close",  # no connection idles between two requests
}


class Guard:
    """An ASGI application around another."""

    def __init__(self, app: ASGIApp, access: Access, connections: Connections) -> None:
        self._app = app
        self._connections = connections
        self._access = access
        self._failures_s: deque[float] = deque(maxlen=MAX_FAILURES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
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
        if not is_origin(headers.get("origin")):
            return PlainTextResponse("Expected an Origin, found none.\n", 400)
        if not access.origin_allowed(headers.get("origin"), host):
            return PlainTextResponse("Pages of other sites may not ask here.\n", 403)
        if scope["type"] == "http":
            if scope["method"] not in ("GET", "HEAD"):
                return PlainTextResponse("Nothing here can be changed.\n", 405)
            if _body_bytes(headers) > MAX_BODY_BYTES:
                return PlainTextResponse("No request here has a body.\n", 413)
        if access.token is None or scope["path"] in OPEN_PATHS:
            return None
        return self._refusal_of_stranger(scope, headers)

    def _refusal_of_stranger(self, scope: Scope, headers: Headers) -> Response | None:
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        shown = dict(query).get("token")
        if shown is not None and self._access.token_right(shown):
            return self._exchange(scope, query)
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._access.token_right(bearer.strip()):
            return None
        cookie = _cookie(headers)
        if cookie and self._access.cookie_right(cookie):
            return None
        return self._failed() if shown or bearer or cookie else _please()

    def _exchange(self, scope: Scope, query: list[tuple[str, str]]) -> Response:
        """Give a cookie for the token, and an address without it, which may be looked at."""
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        path = "/" + scope["path"].lstrip("/")  # never another host's
        response = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
        secure = scope.get("scheme") in ("https", "wss")
        response.set_cookie(
            COOKIE, self._access.cookie, httponly=True, samesite="strict", secure=secure
        )
        return response

    def _failed(self) -> Response:
        """Refuse a wrong token; many wrong ones are answered without a look for a while."""
        now_s = time.monotonic()
        full = len(self._failures_s) == MAX_FAILURES
        if full and now_s - self._failures_s[0] < FAILURES_S:
            return PlainTextResponse("Too many wrong tokens; wait a minute.\n", 429)
        self._failures_s.append(now_s)
        return PlainTextResponse("Wrong token.\n", 401)


def _please() -> Response:
    return PlainTextResponse("Open the address with ?token= that the run printed.\n", 401)


def _body_bytes(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isdecimal():
        return MAX_BODY_BYTES + 1
    return int(length)


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
