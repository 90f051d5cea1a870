"""Addresses as people may see them: without user names, passwords, tokens and keys.

An address is taken apart, and what may be a secret is left out whatever characters it holds; rather
too much than too little. A message that somebody else wrote, FFmpeg say, is searched for the very
secrets of the address that it is about.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import TypeAlias
from urllib.parse import quote, unquote

Piece: TypeAlias = tuple[str, bool]  # some of the text, and whether it is secret

HIDDEN = "***"
FILES = ("jsonl", "mcap", "video", "masks")  # sinks whose rest is a path
SECRET_WORDS = {
    *("pw", "psk", "pin", "key", "apikey", "header", "headers", "signature", "sig", "sid", "otp"),
    *("hash", "code", "ticket", "nonce", "digest"),
}
# What makes a name secret wherever it stands in it: `loginpas`, `adminpassword`, `userPwd`.
SECRET_PARTS = (
    *("pas", "pwd", "psw", "secret", "token", "cred", "auth", "bearer", "session", "cookie"),
    *("jwt", "apikey", "streamkey"),
)
# What an address of another program's may ask for and anybody may see; all else may be a secret.
SHOWN_WORDS = {
    *("width", "height", "size", "resolution", "res", "fps", "rate", "quality", "codec", "format"),
    *("channel", "ch", "camera", "cam", "stream", "streamtype", "subtype", "type", "profile"),
    *("transport", "timeout", "latency", "mode", "user", "username", "usr"),
}
OWN_SCHEMES = {"csi", "v4l2", "sim", "osd", "ros2", "speed", "file", "serial"}
GST_WORDS = SECRET_WORDS | {"user", "username", "id", "login"}  # `user-id` is rtspsrc's user name
IN_AN_OPTION = "=|:|%3[Dd]|%3[Aa]"  # behind a name
IN_A_PATH = f"{IN_AN_OPTION}|/"  # as in `/password/x`
AT_SIGNS = "@\uff20\ufe6b"
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
    parts |= {base64.b64encode(s.encode(errors="surrogateescape")).decode() for s in secrets}
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
    query = _query if scheme.lower() in OWN_SCHEMES else _others_query
    yield f"{scheme}://", False
    userinfo, at, place = _split_at(rest)
    if at:
        yield userinfo, True
        yield at, False
    # Or was it in an option?
    if any(secret and _split_at(text)[1] for text, secret in query(rest)):
        end = re.search(r"[?&;#]", place)
        value, place = (place[: end.start()], place[end.start() :]) if end else (place, "")
        yield value, True
    yield from query(place)


def _split_at(text: str) -> tuple[str, str, str]:
    """Return what stands before the last at-sign, the sign, and what stands behind it.

    Wide and small ones count: some keyboards type them, and the password is one all the same.
    """
    at = max(map(text.rfind, AT_SIGNS))
    return ("", "", text) if at < 0 else (text[:at], text[at], text[at + 1 :])


def _nearly_url(text: str) -> Iterator[Piece]:
    """Yield what lacks its `//`: `rtsp:/USER:PASSWORD@HOST`, `USER:PASSWORD@HOST`, or a path."""
    userinfo, at, place = _split_at(text)
    if at and ":" in userinfo:
        yield userinfo, True
        yield at, False
        yield from _query(place)
    else:
        yield from _query(text)


def _query(text: str) -> Iterator[Piece]:
    """Yield a place and its options, `?NAME=VALUE&NAME=VALUE`."""
    for option in re.split(r"([?&;#])", text):
        yield from _option(option)


def _others_query(text: str) -> Iterator[Piece]:
    """Yield those of another program: a value is hidden but where the name says it is harmless."""
    place, *options = re.split(r"([?&;#])", text)
    yield from _option(place, ends=IN_A_PATH)
    for option in options:
        name, equals, value = option.partition("=")
        harmless = _words(name) & SHOWN_WORDS and ":" not in value
        if harmless or len(value) <= SHORTEST:
            yield from _option(option, ends=IN_AN_OPTION)
        elif equals:
            yield f"{name}=", False
            yield value, True


def _option(text: str, *, ends: str = "=") -> Iterator[Piece]:
    """Yield one option; all is hidden behind a secret's name: `user=joe_password=x`, `%26pin=x`.

    Args:
        ends: a pattern of what stands behind a name.
    """
    for named in re.finditer(rf"([A-Za-z][\w%\[\]-]*?)(?:{ends})", text):
        if named[0].endswith("/") and text[: named.start()][-1:] != "/":
            continue  # no folder
        name = re.sub(r"^.*%[0-7][0-9A-Fa-f]", "", named[1])
        if _is_secret(name, SECRET_WORDS) or _is_secret(unquote(named[1]), SECRET_WORDS):
            yield text[: named.end()], False
            yield text[named.end() :], True
            return
    yield text, False


def _pipeline(text: str) -> Iterator[Piece]:
    """Yield a GStreamer pipeline, `ELEMENT NAME=VALUE NAME="VALUE" ! ELEMENT`.

    A secret that was not quoted goes on to the next option or element.
    """
    if "://" in text and _split_at(text.partition("://")[2])[1]:
        # Quoted or not, as far as it may reach.
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
            yield from [(value, True)] if hiding else _value(value)
            continue
        yield token, hiding and bool(token.strip())


def _value(text: str) -> Iterator[Piece]:
    """Yield the value of an element's property, which may be an address, or hold more of them."""
    if "://" in text:
        yield from _url(text)
    elif "=" in text and text[:1] in ("'", '"'):
        yield text[0], False
        yield from _pipeline(text[1:])
    else:
        yield text, False


def _url_inside(text: str) -> Iterator[Piece]:
    scheme, _, rest = text.partition("://")
    userinfo, at, place = _split_at(rest)
    yield from _pipeline(f"{scheme}:")
    yield "//", False
    yield userinfo, True
    yield at, False
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
    bare = re.sub(r"\W|_", "", name).lower()
    return bool(words & _words(name)) or any(part in bare for part in SECRET_PARTS)


def _words(name: str) -> set[str]:
    """Return the words of a name, and the name without what joins them."""
    found = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return {*(word.lower() for word in found), re.sub(r"\W|_", "", name).lower()}
