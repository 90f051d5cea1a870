"""A graphics card through NVML: a library that answers as nvml.h says stands in for the driver."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from scnet_edge.machine import nvml
from scnet_edge.machine.nvml import GraphicsCard, driver_version, first_card
from scnet_edge.machine.telemetry import Telemetry, read_sensors, read_sysfs

NOT_SUPPORTED, NOT_FOUND = 3, 6
UUIDS = [b"GPU-aaaa", b"GPU-bbbb"]
ARGUMENTS = {  # of nvml.h, and how many each takes
    "nvmlInitWithFlags": 1,
    "nvmlSystemGetDriverVersion": 2,
    "nvmlDeviceGetCount_v2": 1,
    "nvmlDeviceGetHandleByIndex_v2": 2,
    "nvmlDeviceGetHandleByUUID": 2,
    "nvmlDeviceGetFieldValues": 3,
    "nvmlDeviceGetPowerUsage": 2,
    "nvmlDeviceGetTemperature": 3,
    "nvmlDeviceGetClockInfo": 3,
    "nvmlDeviceGetUtilizationRates": 2,
    "nvmlDeviceGetCurrentClocksEventReasons": 2,
    "nvmlDeviceGetCurrentClocksThrottleReasons": 2,  # its name before CUDA 12.2
}


def address(handle: Any) -> ctypes.c_size_t:
    """Return the number that an opaque pointer is."""
    return ctypes.c_size_t.from_address(ctypes.addressof(handle))


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
            assert len(arguments) == ARGUMENTS[call]
            return NOT_SUPPORTED if call in self.silent else found(*arguments) or 0

        found = getattr(self, f"_{call}")
        return answer

    def _nvmlInitWithFlags(self, flags: int) -> None:
        assert flags == 0

    def _nvmlSystemGetDriverVersion(self, text: Any, size: Any) -> None:
        text.value = b"580.159.04"[: size.value - 1]

    def _nvmlDeviceGetCount_v2(self, count: Any) -> None:
        count._obj.value = self.cards

    def _nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        address(handle._obj).value = 1 + index.value
        return 0 if index.value < self.cards else NOT_FOUND

    def _nvmlDeviceGetHandleByUUID(self, uuid: Any, handle: Any) -> int:
        known = UUIDS[: self.cards]
        if uuid.value not in known:
            return NOT_FOUND
        address(handle._obj).value = 1 + known.index(uuid.value)
        return 0

    def _nvmlDeviceGetFieldValues(self, card: Any, count: int, field: Any) -> None:
        # Field and value lie where a C compiler puts them in nvmlFieldValue_t.
        raw = (ctypes.c_uint * 10).from_address(ctypes.addressof(field._obj))
        assert (count.value, raw[0], ctypes.sizeof(field._obj)) == (1, 186, 40)
        milliwatts = 412_500 if card is None else 1000 * address(card).value
        raw[6], raw[7], raw[8] = 1, 0, milliwatts  # unsigned int, success

    def _nvmlDeviceGetPowerUsage(self, card: Any, value: Any) -> None:
        value._obj.value = 300_000

    def _nvmlDeviceGetTemperature(self, card: Any, sensor: int, value: Any) -> None:
        value._obj.value = {0: 47}[sensor.value]

    def _nvmlDeviceGetClockInfo(self, card: Any, domain: int, value: Any) -> None:
        value._obj.value = {1: 1980, 2: 2619}[domain.value]

    def _nvmlDeviceGetUtilizationRates(self, card: Any, load: Any) -> None:
        load._obj.gpu = 83

    def _nvmlDeviceGetCurrentClocksEventReasons(self, card: Any, reasons: Any) -> None:
        reasons._obj.value = 0x01 | 0x04 | 0x40  # idle, at the power limit, too hot

    def _nvmlDeviceGetCurrentClocksThrottleReasons(self, card: Any, reasons: Any) -> None:
        reasons._obj.value = 0x08


Use = Callable[[Driver], Driver]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """Return what makes a driver that of this machine, whose variables name no card."""

    def use(driver: Driver) -> Driver:
        monkeypatch.setattr(pynvml, "nvmlLib", driver)
        pynvml._nvmlGetFunctionPointer_cache.clear()
        return driver

    for variable in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(variable, raising=False)
    first_card.cache_clear()
    yield use
    pynvml._nvmlGetFunctionPointer_cache.clear()
    first_card.cache_clear()


@pytest.fixture
def driver(use: Use) -> Driver:
    """Return the driver of this machine."""
    return use(Driver())


def test_a_card_in_a_pc(driver: Driver, tmp_path: Path) -> None:
    assert read_sensors(tmp_path, GraphicsCard(None)) == Telemetry(
        source="nvml",
        temperatures_c={"gpu": 47.0},
        power_mw={"gpu": 412_500.0},
        total_mw=412_500.0,
        clocks_mhz={"gpu": 1980.0, "gpu memory": 2619.0},
        gpu_load_percent=83.0,
        throttled=("gpu:hot (hardware)",),
    )


def test_an_older_card_gives_the_mean_of_a_second(use: Use, tmp_path: Path) -> None:
    use(Driver("nvmlDeviceGetFieldValues"))
    assert read_sensors(tmp_path, GraphicsCard(None)).total_mw == 300_000


def test_a_board_measures_more_than_the_card(driver: Driver, tmp_path: Path) -> None:
    rail = tmp_path / "sys/class/hwmon/hwmon0"
    rail.mkdir(parents=True)
    for name, text in {
        "name": "ina3221",
        "in1_label": "VDD_IN",
        "in1_input": "5000",
        "curr1_input": "4000",
    }.items():
        (rail / name).write_text(text)
    found = read_sensors(tmp_path, GraphicsCard(None))
    assert found.total_mw == 20_000
    assert found.power_mw == {"VDD_IN": 20_000, "gpu": 412_500}


def test_a_driver_from_before_cuda_12_has_another_name_for_the_reasons(use: Use) -> None:
    newer = "nvmlDeviceGetCurrentClocksEventReasons"
    for driver in (Driver(newer), Driver(lacks=(newer,))):
        use(driver)
        assert GraphicsCard(None).slowed_by() == ("gpu:hardware slowdown",)


def test_a_library_that_supports_nothing_leaves_the_files(use: Use, tmp_path: Path) -> None:
    for driver in (Driver(*ARGUMENTS), Driver(lacks=tuple(ARGUMENTS))):
        use(driver)
        assert read_sensors(tmp_path, GraphicsCard(None)) == read_sysfs(tmp_path)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_driver_may_lack_any_function(name: str, driver: Driver, tmp_path: Path) -> None:
    """A Jetson's, WSL's or a later one: a sensor less, and the run goes on."""
    driver.lacks = (name,)
    hides_the_card = name in (
        "nvmlInitWithFlags",
        "nvmlDeviceGetCount_v2",
        "nvmlDeviceGetHandleByIndex_v2",
    )
    assert (read_sensors(tmp_path) == read_sysfs(tmp_path)) == hides_the_card
    hides_the_version = name in ("nvmlInitWithFlags", "nvmlSystemGetDriverVersion")
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
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", missing)
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


def test_without_the_package_no_card_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvml, "pynvml", None)
    first_card.cache_clear()
    assert first_card() is None
    assert driver_version() is None
    assert read_sensors(tmp_path) == read_sysfs(tmp_path)
    first_card.cache_clear()
