"""Sensors, read from a fake tree that is laid out as an Orin NX lays out its own."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from scnet_edge.machine import sysfs
from scnet_edge.machine.telemetry import Telemetry, TelemetrySampler, read_jtop, read_sysfs


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


@pytest.fixture
def orin(tmp_path: Path) -> Path:
    """Return the root of a board at ease: 15W, nothing hot, the fan turning."""
    zone, ina, gpu = "sys/class/thermal/thermal_zone", "sys/class/hwmon/hwmon3/", "17000000.gpu"
    cpu = "sys/devices/system/cpu/cpufreq/policy"
    write(
        tmp_path,
        {
            f"{zone}0/type": "cpu-thermal",
            f"{zone}0/temp": "48312",
            f"{zone}0/trip_point_0_type": "critical",
            f"{zone}0/trip_point_0_temp": "104500",
            f"{zone}0/trip_point_1_type": "passive",
            f"{zone}0/trip_point_1_temp": "99000",
            f"{zone}1/type": "gpu-thermal",
            f"{zone}1/temp": "51000",
            f"{zone}2/type": "cv0-thermal",
            f"{zone}2/temp": "-256000",  # switched off
            "sys/class/thermal/cooling_device0/type": "pwm-fan",
            "sys/class/thermal/cooling_device0/cur_state": "2",
            "sys/class/thermal/cooling_device1/type": "cpufreq-cpu0",
            "sys/class/thermal/cooling_device1/cur_state": "0",
            "sys/class/hwmon/hwmon0/name": "tmp451",
            "sys/class/hwmon/hwmon0/in1_label": "not a rail",
            f"{ina}name": "ina3221",
            f"{ina}in1_label": "VDD_IN",
            f"{ina}in1_input": "4992",
            f"{ina}curr1_input": "1250",
            f"{ina}curr1_crit_alarm": "0",
            f"{ina}in2_label": "VDD_CPU_GPU_CV",
            f"{ina}in2_input": "4984",
            f"{ina}curr2_input": "500",
            f"{ina}in7_label": "sum of shunt voltages",
            f"{ina}in7_input": "5",
            f"sys/class/devfreq/{gpu}/cur_freq": "612000000",
            f"sys/class/devfreq/{gpu}/min_freq": "306000000",
            f"sys/class/devfreq/{gpu}/max_freq": "612000000",
            f"sys/class/devfreq/{gpu}/device/load": "437",
            f"{cpu}0/scaling_cur_freq": "1497600",
            f"{cpu}0/scaling_min_freq": "1497600",
            f"{cpu}0/scaling_max_freq": "1497600",
            "var/lib/nvpmodel/status": "pmode:0002",
            "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=2 NAME=15W >",
        },
    )
    return tmp_path


def test_a_board_at_ease(orin: Path) -> None:
    assert read_sysfs(orin) == Telemetry(
        source="sysfs",
        temperatures_c={"cpu-thermal": 48.312, "gpu-thermal": 51.0},
        power_mw={"VDD_IN": 6240.0, "VDD_CPU_GPU_CV": 2492.0},
        total_mw=6240.0,
        clocks_mhz={"cpu0": 1497.6, "gpu": 612.0},
        clocks_locked=False,
        gpu_load_percent=43.7,
        power_mode="15W",
        throttled=(),
    )
    assert read_sysfs(orin).hottest_c == 51.0


def test_held_clocks(orin: Path) -> None:
    write(orin, {"sys/class/devfreq/17000000.gpu/min_freq": "612000000"})
    assert read_sysfs(orin).clocks_locked is True


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"sys/class/thermal/thermal_zone0/temp": "99000"}, "hot:cpu-thermal"),
        ({"sys/class/thermal/cooling_device1/cur_state": "3"}, "cooling:cpufreq-cpu0"),
        ({"sys/class/hwmon/hwmon3/curr1_crit_alarm": "1"}, "overcurrent:VDD_IN"),
    ],
)
def test_throttling_says_why(orin: Path, files: dict[str, str], reason: str) -> None:
    write(orin, files)
    assert read_sysfs(orin).throttled == (reason,)


def test_the_power_monitor_of_older_kernels(tmp_path: Path) -> None:
    ina = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/"
    rails = {
        "rail_name_0": "POM_5V_IN",
        "in_power0_input": "3400",
        "rail_name_1": "POM_5V_GPU",
        "in_power1_input": "900",
    }
    write(tmp_path, {ina + name: text for name, text in rails.items()})
    telemetry = read_sysfs(tmp_path)
    assert telemetry.power_mw == {"POM_5V_IN": 3400.0, "POM_5V_GPU": 900.0}
    assert telemetry.total_mw == 3400.0


def test_without_an_input_rail_the_rails_are_added() -> None:
    assert sysfs.total_mw({"VDD_GPU_SOC": 3000.0, "VDD_CPU_CV": 1000.0}) == 4000.0


def test_a_machine_without_sensors(tmp_path: Path) -> None:
    assert read_sysfs(tmp_path) == Telemetry()
    write(tmp_path, {"proc/cpuinfo": "cpu MHz\t\t: 2000.000\ncpu MHz\t\t: 3000.000"})
    assert read_sysfs(tmp_path).clocks_mhz == {"cpu": 2500.0}


def test_sensors_that_answer_nonsense_are_left_out(orin: Path) -> None:
    write(orin, {"sys/class/thermal/thermal_zone0/temp": "N/A", "var/lib/nvpmodel/status": "?"})
    (orin / "sys/class/hwmon/hwmon3/curr1_input").unlink()
    telemetry = read_sysfs(orin)
    assert telemetry.temperatures_c == {"gpu-thermal": 51.0}
    assert telemetry.power_mw == {"VDD_CPU_GPU_CV": 2492.0}
    assert telemetry.power_mode is None


def test_jtop_gives_the_same_values(orin: Path) -> None:
    jtop = SimpleNamespace(
        power={
            "rail": {"VDD_IN": {"power": 6240}, "VDD_CPU_GPU_CV": {"power": 2492}},
            "tot": {"power": 6240},
        },
        temperature={
            "cpu-thermal": {"temp": 48.312, "online": True},
            "gpu-thermal": {"temp": 51.0, "online": True},
            "cv0": {"temp": -256, "online": False},
        },
        gpu={"gpu": {"freq": {"cur": 612000}, "status": {"load": 43.7}}},
        jetson_clocks=False,
        nvpmodel="15W",
    )
    expected = read_sysfs(orin)
    found = read_jtop(jtop, orin)
    assert found.source == "jtop"
    for name in Telemetry.__struct_fields__[1:]:
        assert getattr(found, name) == getattr(expected, name), name


def test_the_sampler_keeps_the_newest(orin: Path) -> None:
    with TelemetrySampler(lambda: read_sysfs(orin), interval_s=0.01) as sampler:
        assert sampler.latest.throttled == ()
        write(orin, {"sys/class/thermal/thermal_zone0/temp": "99000"})
        deadline_s = time.monotonic() + 5
        while not sampler.latest.throttled and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert sampler.latest.throttled == ("hot:cpu-thermal",)
