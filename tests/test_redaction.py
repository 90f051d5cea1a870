"""A secret is left out of an address whatever it is made of, and of messages about the address."""

from __future__ import annotations

import itertools
from base64 import b64encode
from urllib.parse import quote

import pytest

from scnet_edge.redaction import redact, without_secrets

SECRETS = [
    "Secret",
    "Secret pass",
    "Se\tcret",
    "Sec/ret?x=1&y#z",
    "a@Secret@b",
    ":Secret:",
    "Secret\nx",
]
QUOTABLE = ["Secret", "Secret pass", "Se\tcret pass", "Sec/ret?x", "'Secret' pass"]
ADDRESSES = [
    "rtsp://joe:{}@127.0.0.1:9/pipe",
    "http://joe:{}@cam/v",
    "zzz://joe:{}@cam/v",
    "mqtt://joe:{}@broker/topic",
    "rtsp:/joe:{}@cam/v",
    "rtsp:joe:{}@cam/v",
    "joe:{}@cam",
    "rtsps://{}@cam/v",
    "gst:rtspsrc location=rtsp://joe:{}@cam/1 ! decodebin ! appsink",
    "gst:souphttpsrc location=http://joe:{}@cam/1 user-id=x ! appsink",
]
WHOLE = [
    "http://cam/v?user=joe&password={}",
    "http://cam/v?accessToken={}",
    "http://cam/v?api_key={}&w=3",
    "http://cam/v;auth={}",
    "http://cam/videostream.cgi?loginuse=joe&loginpas={}",  # as Foscam has it
    "rtsp://cam:554/user=joe_password={}_channel=1_stream=0.sdp",  # XMeye
    "http://cam/v?adminpassword={}",
    "http://cam/v?usr=joe:{}",
    "http://cam/v?whatever={}",
    "http://cam/v?next=%2Fa%3Ftoken%3D{}",
    "http://cam/v?pass%77ord={}",
    "http://cam/v?x=1,pin={}",
    "http://cam/login/joe/password/{}",
]
IN_PIPELINES = [
    "gst:souphttpsrc location=http://cam/v?token={} ! appsink",
    "gst:rtspsrc location=rtsp://cam/user=joe_password={} ! appsink",
    'gst:rtmpsrc location="rtmp://cam/a pubUser=joe pubPasswd={}" ! appsink',
]
QUOTED = [
    'gst:rtspsrc location="rtsp://joe:{}@cam/1" ! appsink',
    'gst:rtspsrc location=rtsp://cam/1 user-id=joe user-pw="{}" ! appsink',
    "gst:rtspsrc user-pw={} ! appsink",
    "gst:srtsrc passphrase='{}' ! appsink",
    'gst:souphttpsrc extra-headers="h,Authorization={}" ! appsink',
]


def leaks(shown: str) -> bool:
    return any(word in shown for word in ("Secret", "Se\t", "cret", "Sec", "ret?", "pass@", "s @"))


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        *itertools.product(ADDRESSES, SECRETS),
        *itertools.product(WHOLE, ["Secret", "Secret pass", "Se\tcret", "a@Secret", "Sec/ret"]),
        *itertools.product(QUOTED, QUOTABLE),
        *itertools.product(IN_PIPELINES, ["Secret", "Sec/ret", "Sec:ret"]),
    ],
)
def test_no_secret_is_shown(address: str, secret: str) -> None:
    for written in (secret, quote(secret)):
        shown = redact(address.format(written))
        assert not leaks(shown), shown
        assert "***" in shown
        assert "\n" not in shown


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("rtsp://joe:pw@host/1", "rtsp://***@host/1"),
        ("rtsp://joe:p@w@host/1", "rtsp://***@host/1"),
        ("rtsp://joe@host", "rtsp://***@host"),
        ("rtsp://joe:pw\uff20host/1", "rtsp://***\uff20host/1"),  # a wide at-sign, and a small one
        ("rtsp:/joe:pw\ufe6bhost/1", "***\ufe6bhost/1"),
        ("gst:rtspsrc location=rtsp://joe:pw\uff20h/1", "gst:rtspsrc location=rtsp://***\uff20h/1"),
        ("http://cam/v?user=joe&password=pw&x=1", "http://cam/v?user=joe&password=***&x=1"),
        ("http://cam/v?Token=pw", "http://cam/v?Token=***"),
        ("gst:rtspsrc location=rtsp://joe:pw@h/1 ! x", "gst:rtspsrc location=rtsp://***@h/1 ! x"),
        ("gst:rtspsrc user-id=joe user-pw=pw ! x", "gst:rtspsrc user-id=*** user-pw=*** ! x"),
        (
            "gst:videotestsrc is-live=true ! video/x-raw,width=64 ! x264enc key-int-max=30",
            "gst:videotestsrc is-live=true ! video/x-raw,width=64 ! x264enc key-int-max=***",
        ),
        (
            "http://cam/v?channel=main&resolution=1280x720",
            "http://cam/v?channel=main&resolution=1280x720",
        ),
        ("/data/Kompass: 3/pass 12:30.mp4", "/data/Kompass: 3/pass 12:30.mp4"),
        ("csi://0?width=1280", "csi://0?width=1280"),
        ("clip@home.mp4", "clip@home.mp4"),
        ("jsonl:/data/run 12:30@site.jsonl", "jsonl:/data/run 12:30@site.jsonl"),
        ("/data/no secret/here.mp4", "/data/no secret/here.mp4"),
        ("udp://0.0.0.0:9000", "udp://0.0.0.0:9000"),
    ],
)
def test_the_rest_stays_as_it_is(address: str, expected: str) -> None:
    assert redact(address) == expected


@pytest.mark.parametrize("secret", ["Secret", "Secret pass", "Se cret/x"])
def test_messages_of_others_lose_it_too(secret: str) -> None:
    address = f"rtsp://joe:{secret}@cam/1"
    for said in (address, secret, quote(secret, safe=""), *secret.split(), f"bad '{secret}'"):
        shown = without_secrets(f"[rtsp] cannot log in as {said} at cam: 401", address)
        assert all(word not in shown for word in secret.split() if len(word) > 2), shown
        assert shown.endswith("at cam: 401")
    coded = b64encode(f"joe:{secret}".encode()).decode()
    assert coded not in without_secrets(f"401 for Authorization: Basic {coded}", address)
