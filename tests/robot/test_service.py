"""The unit that a service is installed as, checked by systemd itself where it is there."""

from __future__ import annotations

import configparser
import shutil
from pathlib import Path

import pytest

from scnet_edge.engines.isolated.parent import FIRST_RUN_TIMEOUTS, RUN_TIMEOUT_S
from scnet_edge.errors import ConfigError
from scnet_edge.robot.service import require_readable, service_state, unit_text, verify_unit

ARGUMENTS = ["run", "/opt/bundle", "--source", "rtsp://user:p%40s$ x@camera/1", "--live", ":8765"]


def parsed(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
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


def test_a_line_break_cannot_add_a_setting() -> None:
    with pytest.raises(ConfigError, match="line break"):
        unit_text(["run", "x\nExecStartPre=/bin/evil"])


def test_what_the_services_user_cannot_read_is_said(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="--user"):
        require_readable(private)


def test_the_state_without_an_answer_of_systemd() -> None:
    state = service_state(user=False)
    assert state.active in {"unknown", "inactive"}
    assert not state.installed
