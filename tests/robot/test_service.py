"""The unit that a service is installed as, checked by systemd itself where it is there."""

from __future__ import annotations

import configparser
import os
import shutil
from pathlib import Path

import pytest

from scnet_edge.engines.isolated.parent import FIRST_RUN_TIMEOUTS, RUN_TIMEOUT_S
from scnet_edge.errors import ConfigError
from scnet_edge.robot import service
from scnet_edge.robot.service import (
    require_readable,
    require_writable,
    service_state,
    unit_text,
    verify_unit,
)

ARGUMENTS = ["run", "/opt/bundle", "--source", "rtsp://user:p%40s$ x@camera/1", "--live", ":8765"]


def parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read_string(text)
    return parser


def test_what_the_unit_promises() -> None:
    unit = parsed(unit_text(ARGUMENTS, memory_max="1500M", read_only=(Path("/opt/bundle"),)))
    service = dict(unit["Service"])
    assert service["Type"] == "notify"
    first_frame_s = RUN_TIMEOUT_S * FIRST_RUN_TIMEOUTS
    assert 2 / 3 * int(service["WatchdogSec"]) > first_frame_s + 10  # and the engine's start
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "78"
    assert (unit["Unit"]["StartLimitBurst"], unit["Unit"]["StartLimitIntervalSec"]) == ("5", "60")
    assert service["MemoryMax"] == "1500M"
    assert service["KillMode"] == "mixed"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["DynamicUser"] == "yes"
    assert "video" in service["SupplementaryGroups"]
    assert service["ExecStart"].endswith(
        '-m scnet_edge run /opt/bundle --source "rtsp://user:p%%40s$$ x@camera/1" --live :8765'
    )


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd: apt-get install systemd"
)
@pytest.mark.parametrize("user", [False, True])
def test_systemd_itself_takes_the_unit(tmp_path: Path, user: bool) -> None:
    path = tmp_path / "scnet-edge.service"
    path.write_text(unit_text(ARGUMENTS, user=user))
    assert verify_unit(path) == ""
    path.write_text(unit_text(ARGUMENTS, user=user).replace("Type=notify", "Type=nothing"))
    assert "nothing" in (verify_unit(path) or "")


@pytest.mark.parametrize("memory_max", ["-1G", "2 GB", "0", "lots"])
def test_a_wrong_amount_of_memory_is_one_line(memory_max: str) -> None:
    with pytest.raises(ConfigError, match="such as 2G"):
        unit_text(ARGUMENTS, memory_max=memory_max)


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x0b", "\x85", "\u2028", "\x1b"])
def test_a_line_break_cannot_add_a_setting(character: str) -> None:
    with pytest.raises(ConfigError, match="line break") as caught:
        unit_text(["run", f"rtsp://joe:Secret@cam/x{character}ExecStartPre=/bin/evil"])
    assert "Secret" not in str(caught.value)


def test_systemd_hands_the_key_of_what_was_compiled_here_over() -> None:
    unit = parsed(unit_text(ARGUMENTS, device_key=Path("/root/%/device-key")))
    assert unit["Service"]["LoadCredential"] == "device-key:/root/%%/device-key"
    assert "LoadCredential" not in unit_text(ARGUMENTS)


def test_what_the_sandbox_hides_or_forbids_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not see /tmp"):
        require_readable(Path("/tmp/bundle"))
    with pytest.raises(ConfigError, match="relative path"):
        require_writable("jsonl:/var/log/run.jsonl")
    require_writable("jsonl:run.jsonl")
    require_writable("mqtt://broker/topic")


def test_what_a_link_leads_to_must_be_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "HIDDEN", ())
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("private")
    with pytest.raises(ConfigError, match="private: the service's user may not read it"):
        require_readable(tmp_path / "link")


def test_what_the_services_user_cannot_read_is_said(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="--user"):
        require_readable(private)


def test_the_state_without_an_answer_of_systemd() -> None:
    state = service_state(user=False)
    assert state.active in {"unknown", "inactive"}
    assert not state.installed
