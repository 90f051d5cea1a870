"""The doctor's reading of real system files, and of the machine that runs the tests."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import pytest

from scnet_edge.doctor import checks as doctor
from scnet_edge.doctor.checks import (
    can_run,
    check_default_engine,
    check_engine,
    check_ffmpeg,
    checks,
)
from scnet_edge.doctor.machine_checks import (
    Check,
    check_bf16,
    check_cpu,
    check_gpu,
    check_gpu_sensors,
    check_int8,
    check_jetpack,
    check_memory,
)
from scnet_edge.engines.compiled import identity
from scnet_edge.errors import install_extra
from scnet_edge.machine.description import (
    BF16_FLAGS,
    INT8_FLAGS,
    OTHER_FLAGS,
    Cuda,
    Gpu,
    Machine,
    cpu_flags,
    cpu_model,
    cpu_quota,
    l4t_version,
    machine_name,
    memory_bytes,
    read_cuda,
    read_machine,
    swap_bytes,
)

SAPPHIRE_RAPIDS = """\
processor\t: 0
vendor_id\t: GenuineIntel
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu sse4_2 avx f16c avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8
bugs\t\t: spectre_v1
processor\t: 1
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu sse4_2 avx f16c avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8
"""
HASWELL = """\
processor\t: 0
model name\t: Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz
flags\t\t: fpu vme sse4_1 sse4_2 avx f16c rdrand bmi1 avx2 bmi2
"""
ORIN = """\
processor\t: 0
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc \
dcpop asimddp uscat ilrcpc flagm paca pacg
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd42
CPU revision\t: 1
"""
NANO = """\
processor\t: 0
model name\t: ARMv8 Processor rev 1 (v8l)
BogoMIPS\t: 38.40
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd07
"""
ALL_FLAGS = (*INT8_FLAGS, *BF16_FLAGS, *OTHER_FLAGS)
MEMINFO = """\
MemTotal:        7802164 kB
MemFree:          312512 kB
MemAvailable:    5226928 kB
"""
JETPACK_6 = (
    "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, "
    "DATE: Wed Jan  8 01:49:37 UTC 2025\n# KERNEL_VARIANT: oot\n"
)
JETPACK_4 = (
    "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64, "
    "DATE: Sat Feb 19 17:05:08 UTC 2022\n"
)
OPENCV = """\
  Video I/O:
    FFMPEG:                      YES
      avcodec:                   YES (62.28.101)
    GStreamer:                   NO
    v4l/v4l2:                    YES (linux/videodev2.h)
"""


def machine_of(cpuinfo: str = "", release: str = "", **values: object) -> Machine:
    """Return this machine with another processor and another Jetson's software."""
    return msgspec.structs.replace(
        read_machine(),
        cpu=cpu_model(cpuinfo),
        cpu_flags=tuple(flag for flag in ALL_FLAGS if flag in cpu_flags(cpuinfo)),
        l4t=l4t_version(release),
        **values,
    )


@pytest.mark.parametrize(
    ("cpuinfo", "model"),
    [
        (SAPPHIRE_RAPIDS, "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"),
        (HASWELL, "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz"),
        (ORIN, "Cortex-A78AE"),
        (NANO, "Cortex-A57"),
        ("CPU implementer\t: 0x48\nCPU part\t: 0xd01\n", "0x48 part 0xd01"),
        ("", None),
    ],
)
def test_cpu_model(cpuinfo: str, model: str | None) -> None:
    assert cpu_model(cpuinfo) == model


@pytest.mark.parametrize(
    ("cpuinfo", "verdict", "found"),
    [
        (SAPPHIRE_RAPIDS, "ok", "amx_int8"),
        (HASWELL, "warn", "saturate"),
        (ORIN, "ok", "asimddp"),
        (NANO, "warn", "saturate"),
        ("", "warn", "saturate"),
    ],
)
def test_int8_needs_dot_products(cpuinfo: str, verdict: str, found: str) -> None:
    check = check_int8(machine_of(cpuinfo))
    assert check.verdict == verdict
    assert found in check.found
    assert bool(check.remedy) == (verdict == "warn")


def test_flags_are_whole_words_that_every_core_has() -> None:
    both = "flags\t: avx2 avx512f\nflags\t: avx2\n"
    assert cpu_flags(both) == {"avx2"}
    assert "avx512_vnni" not in cpu_flags("flags\t: avx512_vnni2\n")
    assert check_cpu(machine_of(ORIN)).found == "Cortex-A78AE: asimddp asimdhp asimd"
    found = check_bf16(machine_of(SAPPHIRE_RAPIDS)).found
    assert "amx_bf16" in found
    assert "scnet-edge compile" in found
    assert check_bf16(machine_of()).found.endswith("in FP32")


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", None),
        ("150000 100000\n", 1.5),
        ("-1 100000", None),
        ("400000 100000", 4.0),
        (" ", None),
        ("", None),
    ],
)
def test_cpu_quota_of_both_cgroup_versions(text: str, cores: float | None) -> None:
    assert cpu_quota(text) == cores


def test_memory() -> None:
    assert memory_bytes(MEMINFO) == (7802164 * 1024, 5226928 * 1024)
    assert memory_bytes("") == (0, 0)
    assert swap_bytes("SwapTotal:       2014580 kB\n") == 2014580 * 1024


def test_the_limit_of_a_container_is_its_memory() -> None:
    free = machine_of(memory_bytes=8 * 2**30, free_memory_bytes=4 * 2**30, memory_limit_bytes=2**29)
    assert check_memory(free).found == "0.5 GiB free of 0.5"
    assert check_memory(free).verdict == "warn"
    assert check_memory(msgspec.structs.replace(free, memory_limit_bytes=None)).verdict == "ok"


def test_a_machine_is_named_by_its_board_or_its_processor() -> None:
    board = machine_of(HASWELL, board="NVIDIA Jetson Orin Nano", architecture="aarch64")
    assert board.name == "NVIDIA Jetson Orin Nano, Linux aarch64"
    no_board = msgspec.structs.replace(board, board=None, architecture="x86_64")
    assert no_board.name == "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz, Linux x86_64"
    assert machine_name()
    assert "\n" not in machine_name()


def test_gpus_are_named_with_what_their_kernels_depend_on() -> None:
    gpus = (Gpu(name="Orin", capability="8.7"), Gpu(name="NVIDIA H200", capability="9.0"))
    found = check_gpu(Cuda(status=0, version="12.6", gpus=gpus)).found
    assert found == (
        "Orin (compute capability 8.7), NVIDIA H200 (compute capability 9.0); driver for CUDA 12.6"
    )
    assert "cuInit gives 100" in check_gpu(Cuda(status=100)).found


def test_the_sensors_of_a_card_in_a_pc_need_a_package() -> None:
    card = Cuda(status=0, version="13.0", gpus=(Gpu(name="NVIDIA H200", capability="9.0"),))
    (silent,) = check_gpu_sensors(machine_of(cuda=card), None)
    assert (silent.verdict, silent.found) == ("warn", "not read")
    assert "[nvidia]" in silent.remedy
    (read,) = check_gpu_sensors(machine_of(cuda=card), "580.159.04")
    assert (read.verdict, read.found) == ("ok", "by NVML of driver 580.159.04")
    assert check_gpu_sensors(machine_of(cuda=Cuda(status=0)), None) == []
    assert check_gpu_sensors(machine_of(release=JETPACK_6, cuda=card), None) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (JETPACK_6, (36, 4, 3)),
        (JETPACK_4, (32, 7, 1)),
        ("# R35 (release), REVISION: 6.0, GCID: 37391689, BOARD: generic", (35, 6, 0)),
        ("", None),
        ("NAME=Ubuntu", None),
    ],
)
def test_l4t_version(text: str, expected: tuple[int, ...] | None) -> None:
    assert l4t_version(text) == expected


def test_jetpack_whose_python_is_too_old() -> None:
    assert check_jetpack(machine_of(release=JETPACK_6)).verdict == "ok"
    assert "JetPack 6" in check_jetpack(machine_of(release=JETPACK_6)).found
    assert check_jetpack(machine_of(release=JETPACK_4)).verdict == "warn"
    assert "JetPack 6 or newer" in check_jetpack(machine_of(release=JETPACK_4)).remedy
    assert check_jetpack(machine_of()).found == "none: not a Jetson"


def test_opencv_parts() -> None:
    assert check_ffmpeg(OPENCV).verdict == "ok"
    assert check_ffmpeg(re.sub("(FFMPEG: +)YES", r"\1NO", OPENCV)).verdict == "warn"


def test_one_working_engine_is_enough() -> None:
    missing = Check(name="openvino", verdict="missing", found="not installed")
    works = Check(name="onnxruntime", verdict="ok", found="1.23.2, CPUExecutionProvider")
    assert can_run([missing, works])
    assert not can_run([missing])
    assert not can_run([Check(name="opencv", verdict="ok", found="5.0.0")])


@pytest.mark.usefixtures("beside_a_gpu")
def test_another_engine_is_advised_only_where_it_works() -> None:
    tensorrt = Check(name="tensorrt", verdict="warn", found="tensorrt 10.2.0")
    works = Check(name="onnxruntime", verdict="ok", found="1.23.2, CPUExecutionProvider")
    assert check_default_engine([tensorrt, works]).remedy.endswith("--engine onnxruntime")
    assert check_default_engine([tensorrt]).remedy.endswith(install_extra("cpu"))


def test_an_engine_under_another_package_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """`onnxruntime-gpu` is the module onnxruntime, of which no package of that name is known."""

    def unknown(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", unknown)
    monkeypatch.setattr(doctor, "version", unknown)
    assert check_engine("onnxruntime").verdict == "ok"
    assert identity("openvino")["OpenVINO"]


def test_a_cuda_provider_that_is_listed_need_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "CUDA" not in check_engine("openvino").found
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: listed)
    assert "CPUExecutionProvider; whether CUDA starts, " in check_engine("onnxruntime").found


def test_this_machine() -> None:
    found = {check.name: check for check in checks()}
    assert len(found) == len(checks())
    assert platform.python_version() in found["python"].found
    assert version("torch") == found["torch"].found
    assert version("openvino") in found["openvino"].found
    assert "CPUExecutionProvider" in found["onnxruntime"].found
    assert f"of {os.cpu_count()}" in found["cores"].found
    assert all("\n" not in check.found + check.remedy for check in found.values())
    assert all(check.remedy for check in found.values() if check.verdict != "ok")
    assert can_run(list(found.values()))


@pytest.mark.skipif(
    Path("/proc/driver/nvidia/version").exists(), reason="there is an NVIDIA driver"
)
def test_no_gpu_here() -> None:
    assert check_gpu(read_cuda()).verdict == "missing"


@pytest.mark.gpu
@pytest.mark.skipif(not Path("/proc/driver/nvidia/version").exists(), reason="needs a CUDA GPU")
def test_the_gpu_here() -> None:
    assert check_gpu(read_cuda()).verdict == "ok"
    assert "compute capability" in check_gpu(read_cuda()).found
