"""Sensors of a board as Linux files give them; every function takes the root, `/` or a fake tree.

A sensor that is absent, asleep or not readable is left out: none of them is worth stopping for.
Read on Jetson: thermal zones, INA3221 rails (hwmon since JetPack 5, IIO before), devfreq, nvpmodel.
"""

from __future__ import annotations

import re
from pathlib import Path

GPU_NAMES = re.compile(r"gpu|gpc|gp10b|gv11b|ga10b")
SLOWING = re.compile(r"cpu|gpu|gpc|devfreq|emc|processor", re.I)  # cooling that costs speed
INPUT_RAILS = ("VDD_IN", "POM_5V_IN", "VIN_SYS_5V0", "VIN")  # each is the whole board's, if there
HWMON_INA = "sys/class/hwmon/hwmon*"
IIO_INA = "sys/bus/i2c/drivers/ina3221x/*/iio:device*"


def temperatures_c(root: Path) -> dict[str, float]:
    """Return degrees Celsius by thermal zone; zones that are switched off read below -200."""
    found = {}
    for zone in _folders(root, "sys/class/thermal/thermal_zone*"):
        milli = _number(zone / "temp")
        if milli is not None and milli > -200_000:
            found[_text(zone / "type") or zone.name] = milli / 1000
    return found


def rails_mw(root: Path) -> dict[str, float]:
    """Return milliwatts by rail of every INA3221 power monitor."""
    found = {}
    for monitor in _folders(root, HWMON_INA):
        if _text(monitor / "name") != "ina3221":
            continue
        for label in sorted(monitor.glob("in*_label")):
            channel = label.name.removeprefix("in").removesuffix("_label")
            volts_mv = _number(monitor / f"in{channel}_input")
            current_ma = _number(monitor / f"curr{channel}_input")
            if volts_mv is not None and current_ma is not None:
                found[_text(label)] = volts_mv * current_ma / 1000
    for monitor in _folders(root, IIO_INA):
        for label in sorted(monitor.glob("rail_name_*")):
            power_mw = _number(monitor / f"in_power{label.name[-1]}_input")
            if power_mw is not None:
                found[_text(label)] = power_mw
    return found


def total_mw(rails: dict[str, float]) -> float | None:
    """Return the board's power: its input rail where one is measured, else the sum of rails."""
    for name in INPUT_RAILS:
        if name in rails:
            return rails[name]
    return sum(rails.values()) if rails else None


def clocks_mhz(root: Path) -> dict[str, float]:
    """Return megahertz now: each cpufreq policy, each devfreq device, else /proc/cpuinfo's mean."""
    found = {}
    for policy in _folders(root, "sys/devices/system/cpu/cpufreq/policy*"):
        khz = _number(policy / "scaling_cur_freq")
        if khz is not None:
            found[f"cpu{policy.name.removeprefix('policy')}"] = khz / 1e3
    for device in _folders(root, "sys/class/devfreq/*"):
        hz = _number(device / "cur_freq")
        if hz is not None:
            found["gpu" if GPU_NAMES.search(device.name) else device.name] = hz / 1e6
    if not any(name.startswith("cpu") for name in found):
        cores = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", _text(root / "proc/cpuinfo"), re.M)
        if cores:
            found["cpu"] = round(sum(map(float, cores)) / len(cores), 1)
    return found


def clocks_locked(root: Path) -> bool | None:
    """Return whether every clock is held at one value, as `jetson_clocks` does; None if unknown."""
    pairs = [
        (_number(policy / "scaling_min_freq"), _number(policy / "scaling_max_freq"))
        for policy in _folders(root, "sys/devices/system/cpu/cpufreq/policy*")
    ] + [
        (_number(device / "min_freq"), _number(device / "max_freq"))
        for device in _folders(root, "sys/class/devfreq/*")
        if GPU_NAMES.search(device.name)
    ]
    known = [(low, high) for low, high in pairs if low is not None and high is not None]
    return all(low == high for low, high in known) if known else None


def gpu_load_percent(root: Path) -> float | None:
    """Return how busy the GPU is, 0 to 100."""
    for device in _folders(root, "sys/class/devfreq/*"):
        permille = _number(device / "device/load")
        if permille is not None and GPU_NAMES.search(device.name):
            return permille / 10
    return None


def power_mode(root: Path) -> str | None:
    """Return the name of nvpmodel's mode, `15W` or `MAXN`; None where there is no nvpmodel."""
    status = re.search(r"pmode:(\d+)", _text(root / "var/lib/nvpmodel/status"))
    if not status:
        return None
    models = r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>"
    names: dict[str, str] = dict(re.findall(models, _text(root / "etc/nvpmodel.conf")))
    return names.get(str(int(status[1])), f"mode {int(status[1])}")


def throttle_reasons(root: Path) -> tuple[str, ...]:
    """Return why the board runs slower than its power mode allows; empty when it does not.

    `hot:ZONE` at its passive trip point, `cooling:DEVICE` while a cooling device that costs speed
    is in use (a fan costs none), `overcurrent:RAIL` while an INA3221 raises its critical alarm.
    """
    found = [
        f"hot:{_text(zone / 'type') or zone.name}"
        for zone in _folders(root, "sys/class/thermal/thermal_zone*")
        if _at_passive_trip(zone)
    ]
    found += [
        f"cooling:{_text(device / 'type')}"
        for device in _folders(root, "sys/class/thermal/cooling_device*")
        if SLOWING.search(_text(device / "type")) and (_number(device / "cur_state") or 0) > 0
    ]
    for monitor in _folders(root, HWMON_INA):
        for alarm in sorted(monitor.glob("curr*_crit_alarm")):
            if _number(alarm):
                channel = alarm.name.removeprefix("curr").removesuffix("_crit_alarm")
                rail = _text(monitor / f"in{channel}_label") or channel
                found.append(f"overcurrent:{rail}")
    return tuple(dict.fromkeys(found))


def _at_passive_trip(zone: Path) -> bool:
    temperature = _number(zone / "temp")
    if temperature is None:
        return False
    trips = [
        _number(zone / kind.name.replace("_type", "_temp"))
        for kind in zone.glob("trip_point_*_type")
        if _text(kind) == "passive"
    ]
    return any(trip is not None and 0 < trip <= temperature for trip in trips)


def _folders(root: Path, pattern: str) -> list[Path]:
    return sorted(root.glob(pattern))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:  # absent, or a sensor that answers EAGAIN or ENODEV while it is off
        return ""


def _number(path: Path) -> float | None:
    text = _text(path)
    return float(text) if re.fullmatch(r"-?\d+", text) else None
