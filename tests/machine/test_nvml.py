"""A graphics card through NVML: a library that answers as nvml.h says stands in for the driver."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scnet_edge.machine import nvml
from scnet_edge.machine.nvml import ARGUMENTS, GraphicsCard, driver_version, first_card
from scnet_edge.machine.telemetry import Telemetry, read_sensors, read_sysfs

NOT_SUPPORTED, NOT_FOUND = 3, 6
UUIDS = [b"GPU-aaaa", b"GPU-bbbb"]


class Driver:
    """NVML; what is in `silent` it does not support, what is in `lacks` it does not have.

    A card draws 412.5 W, or as many watts as its number, from 1 on, where it was looked up.
    """

    def __init__(self, *silent: str, lacks: tuple[str, ...] = (), cards: int = 1) -> None:
        self.silent, self.lacks, self.cards = silent, lacks, cards

    def __getattr__(self, call: str) -> Any:
        if call in self.lacks or call not in ARGUMENTS:
            raise AttributeError(f"undefined symbol: {call}")

        def answer(*arguments: Any) -> int:
            assert len(arguments) == len(ARGUMENTS[call])
            return NOT_SUPPORTED if call in self.silent else found(*arguments) or 0

        found = getattr(self, f"_{call}")
        return answer

    def _nvmlInit_v2(self) -> None:
        pass

    def _nvmlSystemGetDriverVersion(self, text: Any, size: int) -> None:
        text.value = b"580.159.04"[: size - 1]

    def _nvmlDeviceGetCount_v2(self, count: Any) -> None:
        count._obj.value = self.cards

    def _nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: Any) -> int:
        handle._obj.value = 1 + index
        return 0 if index < self.cards else NOT_FOUND

    def _nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: Any) -> int:
        known = UUIDS[: self.cards]
        handle._obj.value = 1 + known.index(uuid) if uuid in known else 0
        return 0 if uuid in known else NOT_FOUND

    def _nvmlDeviceGetFieldValues(self, card: Any, count: int, field: Any) -> None:
        # Field and value lie where a C compiler puts them in nvmlFieldValue_t.
        raw = (ctypes.c_uint * 10).from_address(ctypes.addressof(field._obj))
        assert (count, raw[0], ctypes.sizeof(field._obj)) == (1, 186, 40)
        milliwatts = 412_500 if card is None else 1000 * card.value
        raw[6], raw[7], raw[8] = 1, 0, milliwatts  # unsigned int, success

    def _nvmlDeviceGetPowerUsage(self, card: Any, value: Any) -> None:
        value._obj.value = 300_000

    def _nvmlDeviceGetTemperature(self, card: Any, sensor: int, value: Any) -> None:
        value._obj.value = {0: 47}[sensor]

    def _nvmlDeviceGetClockInfo(self, card: Any, domain: int, value: Any) -> None:
        value._obj.value = {1: 1980, 2: 2619}[domain]

    def _nvmlDeviceGetUtilizationRates(self, card: Any, load: Any) -> None:
        load._obj.gpu = 83

    def _nvmlDeviceGetCurrentClocksEventReasons(self, card: Any, reasons: Any) -> None:
        reasons._obj.value = 0x01 | 0x04 | 0x40  # idle, at the power limit, too hot

    def _nvmlDeviceGetCurrentClocksThrottleReasons(self, card: Any, reasons: Any) -> None:
        reasons._obj.value = 0x08


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """Return the driver of this machine, whose variables name no card."""
    driver = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    for variable in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(variable, raising=False)
    first_card.cache_clear()
    yield driver
    first_card.cache_clear()


def test_a_card_in_a_pc(tmp_path: Path) -> None:
    assert read_sensors(tmp_path, GraphicsCard(Driver(), None)) == Telemetry(
        source="nvml",
        temperatures_c={"gpu": 47.0},
        power_mw={"gpu": 412_500.0},
        total_mw=412_500.0,
        clocks_mhz={"gpu": 1980.0, "gpu memory": 2619.0},
        gpu_load_percent=83.0,
        throttled=("gpu:hot (hardware)",),
    )


def test_an_older_card_gives_the_mean_of_a_second(tmp_path: Path) -> None:
    card = GraphicsCard(Driver("nvmlDeviceGetFieldValues"), None)
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
    found = read_sensors(tmp_path, GraphicsCard(Driver(), None))
    assert found.total_mw == 20_000
    assert found.power_mw == {"VDD_IN": 20_000, "gpu": 412_500}


def test_a_driver_from_before_cuda_12_has_another_name_for_the_reasons() -> None:
    newer = "nvmlDeviceGetCurrentClocksEventReasons"
    for driver in (Driver(newer), Driver(lacks=(newer,))):
        assert GraphicsCard(driver, None).slowed_by() == ("gpu:hardware slowdown",)


def test_a_library_that_supports_nothing_leaves_the_files(tmp_path: Path) -> None:
    for driver in (Driver(*ARGUMENTS), Driver(lacks=tuple(ARGUMENTS))):
        assert read_sensors(tmp_path, GraphicsCard(driver, None)) == read_sysfs(tmp_path)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_driver_may_lack_any_function(name: str, driver: Driver, tmp_path: Path) -> None:
    """A Jetson's, WSL's or a later one: a sensor less, and the run goes on."""
    driver.lacks = (name,)
    hides_the_card = name in (
        "nvmlInit_v2",
        "nvmlDeviceGetCount_v2",
        "nvmlDeviceGetHandleByIndex_v2",
    )
    assert (read_sensors(tmp_path) == read_sysfs(tmp_path)) == hides_the_card
    hides_the_version = name in ("nvmlInit_v2", "nvmlSystemGetDriverVersion")
    assert driver_version() == (None if hides_the_version else "580.159.04")


@pytest.mark.parametrize(
    ("cards", "visible", "order", "watts"),
    [
        (1, None, None, 1),
        (1, "0", None, 1),
        (1, "1", None, None),  # none is left for CUDA
        (1, "", None, None),
        (1, "-1", None, None),
        (2, None, None, None),
        (2, "1", None, None),
        (2, None, "FASTEST_FIRST", None),
        (2, None, "PCI_BUS_ID", 1),
        (2, "1,0", "PCI_BUS_ID", 2),
        (2, "GPU-bbbb,GPU-aaaa", None, 2),
        (2, "GPU-cccc", None, None),
    ],
)
def test_the_card_is_the_one_that_cuda_uses(
    cards: int,
    visible: str | None,
    order: str | None,
    watts: int | None,
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    driver.cards = cards
    for variable, value in (("CUDA_VISIBLE_DEVICES", visible), ("CUDA_DEVICE_ORDER", order)):
        if value is not None:
            monkeypatch.setenv(variable, value)
    card = first_card()
    assert (card and card.power_mw()) == (watts and 1000 * watts)
    unknown = cards > 1 and order != "PCI_BUS_ID" and not (visible or "").startswith("GPU")
    assert ("which of 2 CUDA uses is not known" in caplog.text) == unknown


def test_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "LIBRARY", "libnvidia-ml.so.none")
    first_card.cache_clear()
    assert first_card() is None
    assert driver_version() is None
    assert read_sensors(tmp_path) == read_sysfs(tmp_path)
    first_card.cache_clear()


@pytest.mark.gpu
@pytest.mark.skipif(not Path("/proc/driver/nvidia/version").exists(), reason="needs a CUDA GPU")
def test_the_card_here() -> None:
    assert first_card() is not None
    assert (driver_version() or "none") in Path("/proc/driver/nvidia/version").read_text()
    found = read_sensors()
    assert (found.total_mw or 0) > 1000
    assert found.clocks_mhz["gpu"] > 0
    assert 0 < found.temperatures_c["gpu"] < 110
