"""Addresses as people may see them: without user names, passwords, tokens and keys.

An address is taken apart, and what may be a secret is left out whatever characters it holds; rather
too much than too little. A message that somebody else wrote, FFmpeg say, is searched for the very
secrets of the address that it is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias
from urllib.parse import quote, unquote

Piece: TypeAlias = tuple[str, bool]  # some of the text, and whether it is secret

HIDDEN = "***"
FILES = ("jsonl", "mcap", "video", "masks")  # sinks whose rest is a path
SECRET_WORDS = {
    *("pass", "passwd", "password", "passphrase", "passcode", "pwd", "pw", "psk", "pin"),
    *("secret", "token", "key", "apikey", "auth", "authorization", "credential", "credentials"),
    *("session", "sessionid", "cookie", "cookies", "header", "headers", "signature", "sig", "jwt"),
}
GST_WORDS = SECRET_WORDS | {"user", "username", "id", "login"}  # `user-id` is rtspsrc's user name
SHORTEST = 3  # characters: shorter secrets cannot be told from the text around them


def redact(address: str) -> str:
    """Return a camera's, sink's or broker's address, or a GStreamer pipeline, without secrets.

    Whatever stands between `://` and the last `@` is left out, and the values of options such as
    `password` and `token`. A line break in it becomes a space.
    """
    shown = "".join(HIDDEN if secret else text for text, secret in _pieces(address))
    return re.sub(r"[\r\n]+", " ", shown)


def without_secrets(message: str, address: str) -> str:
    """Return somebody else's message about an address without the address's secrets."""
    found = message.replace(address, redact(address))
    secrets = [text for text, secret in _pieces(address) if secret]
    for secret in sorted(_forms(secrets), key=len, reverse=True):
        found = found.replace(secret, HIDDEN)
    return found


def _forms(secrets: list[str]) -> set[str]:
    """Return secrets and their parts as other programs may write them."""
    parts = {part for secret in secrets for part in (secret, *secret.split(":", 1))}
    parts |= {word for part in parts for word in part.split()}
    coded = {
        form
        for part in parts
        for form in (
            part,
            unquote(part, errors="surrogateescape"),
            quote(part, safe="", errors="surrogateescape"),
        )
    }
    return {form for form in coded if len(form) >= SHORTEST}


def _pieces(address: str) -> Iterator[Piece]:
    """Yield the whole text in pieces."""
    kind, colon, rest = address.partition(":")
    if kind == "gst" and colon:
        yield "gst:", False
        yield from _pipeline(rest)
    elif kind in FILES and "://" not in rest:
        yield address, False
    elif "://" in address:
        yield from _url(address)
    else:
        yield from _nearly_url(address)


def _url(text: str) -> Iterator[Piece]:
    """Yield SCHEME://USER:PASSWORD@HOST/PATH?QUERY#FRAGMENT; the password may hold any of them."""
    scheme, _, rest = text.partition("://")
    yield f"{scheme}://", False
    userinfo, at, place = rest.rpartition("@")
    if at:
        yield userinfo, True
        yield "@", False
    if any(secret and "@" in text for text, secret in _query(rest)):  # or was it in an option?
        end = re.search(r"[?&;#]", place)
        value, place = (place[: end.start()], place[end.start() :]) if end else (place, "")
        yield value, True
    yield from _query(place)


def _nearly_url(text: str) -> Iterator[Piece]:
    """Yield what lacks its `//`: `rtsp:/USER:PASSWORD@HOST`, `USER:PASSWORD@HOST`, or a path."""
    userinfo, at, place = text.rpartition("@")
    if at and ":" in userinfo:
        yield userinfo, True
        yield "@", False
        yield from _query(place)
    else:
        yield from _query(text)


def _query(text: str) -> Iterator[Piece]:
    """Yield a place and its options, `?NAME=VALUE&NAME=VALUE`."""
    for option in re.split(r"([?&;#])", text):
        name, equals, value = option.partition("=")
        if equals and _is_secret(name, SECRET_WORDS):
            yield f"{name}=", False
            yield value, True
        else:
            yield option, False


def _pipeline(text: str) -> Iterator[Piece]:
    """Yield a GStreamer pipeline, `ELEMENT NAME=VALUE NAME="VALUE" ! ELEMENT`.

    A secret that was not quoted goes on to the next option or element.
    """
    if "://" in text and "@" in text.partition("://")[2]:  # quoted or not, as far as it may reach
        yield from _url_inside(text)
        return
    hiding = False
    for token in _tokens(text):
        name, equals, value = token.partition("=")
        if token == "!":
            hiding = False
        elif equals and re.fullmatch(r"[A-Za-z][\w-]*", name):
            hiding = _is_secret(name, GST_WORDS)
            yield f"{name}=", False
            yield value, hiding
            continue
        yield token, hiding and bool(token.strip())


def _url_inside(text: str) -> Iterator[Piece]:
    scheme, _, rest = text.partition("://")
    userinfo, _, place = rest.rpartition("@")
    yield from _pipeline(f"{scheme}:")
    yield "//", False
    yield userinfo, True
    yield "@", False
    host = re.match(r"[^\s\"']*", place)
    end = host.end() if host else 0
    yield from _query(place[:end])
    yield from _pipeline(place[end:])


def _tokens(text: str) -> Iterator[str]:
    """Yield words and the blanks between them; quoted, a word holds blanks, to its end at most."""
    word, quote_mark, escaped = "", "", False
    for character in text:
        if not quote_mark and not escaped and character.isspace() != word.isspace() and word:
            yield word
            word = ""
        word += character
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif quote_mark:
            quote_mark = "" if character == quote_mark else quote_mark
        elif character in "\"'":
            quote_mark = character
    if word:
        yield word


def _is_secret(name: str, words: set[str]) -> bool:
    found = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return bool(words & {*(word.lower() for word in found), re.sub(r"\W|_", "", name).lower()})
