"""GStreamer's RTSP server with a moving test picture; run by the system's Python, which has `gi`.

usage: rtsp_server.py PORT WIDTH HEIGHT [USER PASSWORD]
       rtsp_server.py PORT film FILE.ts       a transport stream of H.264, as fast as it was filmed
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

port, width, height, *login = sys.argv[1:]
Gst.init(None)
server = GstRtspServer.RTSPServer(service=port, address="127.0.0.1")
factory = GstRtspServer.RTSPMediaFactory(shared=True)
played = (
    f"( filesrc location={height} ! tsdemux ! h264parse ! rtph264pay config-interval=-1 name=pay0 )"
)
drawn = (
    "( videotestsrc is-live=true pattern=ball "
    f"! video/x-raw,format=I420,width={width},height={height},framerate=30/1 "
    "! jpegenc ! rtpjpegpay name=pay0 )"
)
factory.set_launch(played if width == "film" else drawn)
if login:
    user, password = login
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/pipe", factory)
assert server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
