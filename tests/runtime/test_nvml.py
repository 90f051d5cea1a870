"""A graphics card through NVML: a library that answers as nvml.h says stands in for the driver."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from scnet_edge.runtime import nvml
from scnet_edge.runtime.nvml import Card
from scnet_edge.runtime.telemetry import Telemetry, read_sensors, read_sysfs

NOT_SUPPORTED = 3


class Driver:
    """NVML of one card; what is in `silent` it does not support."""

    def __init__(self, *silent: str) -> None:
        self.silent = silent

    def __getattr__(self, call: str) -> Any:
        def answer(handle: Any, *arguments: Any) -> int:
            if call in self.silent:
                return NOT_SUPPORTED
            getattr(self, f"_{call}")(*arguments)
            return 0

        return answer

    def _nvmlDeviceGetFieldValues(self, count: int, field: Any) -> None:
        # Field and value lie where a C compiler puts them in nvmlFieldValue_t.
        raw = (ctypes.c_uint * 10).from_address(ctypes.addressof(field._obj))
        assert (count, raw[0], ctypes.sizeof(field._obj)) == (1, 186, 40)
        raw[6], raw[7], raw[8] = 1, 0, 412_500  # unsigned int, success, milliwatts

    def _nvmlDeviceGetPowerUsage(self, value: Any) -> None:
        value._obj.value = 300_000

    def _nvmlDeviceGetTemperature(self, sensor: int, value: Any) -> None:
        value._obj.value = {0: 47}[sensor]

    def _nvmlDeviceGetClockInfo(self, domain: int, value: Any) -> None:
        value._obj.value = {1: 1980, 2: 2619}[domain]

    def _nvmlDeviceGetUtilizationRates(self, load: Any) -> None:
        load._obj.gpu = 83

    def _nvmlDeviceGetCurrentClocksThrottleReasons(self, reasons: Any) -> None:
        reasons._obj.value = 0x01 | 0x04 | 0x40  # idle, at the power limit, too hot


def test_a_card_in_a_pc(tmp_path: Path) -> None:
    assert read_sensors(tmp_path, Card(Driver(), None)) == Telemetry(
        source="nvml",
        temperatures_c={"gpu": 47.0},
        power_mw={"gpu": 412_500.0},
        total_mw=412_500.0,
        clocks_mhz={"gpu": 1980.0, "gpu memory": 2619.0},
        gpu_load_percent=83.0,
        throttled=("gpu:hot (hardware)",),
    )


def test_an_older_card_gives_the_mean_of_a_second(tmp_path: Path) -> None:
    card = Card(Driver("nvmlDeviceGetFieldValues"), None)
    assert read_sensors(tmp_path, card).total_mw == 300_000


def test_a_board_measures_more_than_the_card(tmp_path: Path) -> None:
    rail = tmp_path / "sys/class/hwmon/hwmon0"
    rail.mkdir(parents=True)
    for name, text in {
        "name": "ina3221",
        "in1_label": "VDD_IN",
        "in1_input": "5000",
        "curr1_input": "4000",
    }.items():
        (rail / name).write_text(text)
    found = read_sensors(tmp_path, Card(Driver(), None))
    assert found.total_mw == 20_000
    assert found.power_mw == {"VDD_IN": 20_000, "gpu": 412_500}


def test_a_library_that_supports_nothing_leaves_the_files(tmp_path: Path) -> None:
    silent = [name[1:] for name in vars(Driver) if name.startswith("_nvml")]
    assert read_sensors(tmp_path, Card(Driver(*silent), None)) == read_sysfs(tmp_path)


def test_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "LIBRARY", "libnvidia-ml.so.none")
    nvml.first_card.cache_clear()
    assert nvml.first_card() is None
    assert read_sensors(tmp_path) == read_sysfs(tmp_path)
    nvml.first_card.cache_clear()


@pytest.mark.gpu
@pytest.mark.skipif(not Path("/proc/driver/nvidia/version").exists(), reason="needs a CUDA GPU")
def test_the_card_here() -> None:
    card = nvml.first_card()
    assert card is not None
    assert (card.driver() or "") in Path("/proc/driver/nvidia/version").read_text()
    found = read_sensors()
    assert (found.total_mw or 0) > 1000
    assert found.clocks_mhz["gpu"] > 0
    assert 0 < found.temperatures_c["gpu"] < 110
