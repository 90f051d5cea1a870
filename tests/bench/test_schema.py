"""What one machine is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

H100 = "NVIDIA H100 80GB HBM3"


def test_a_driver_and_an_update_do_not_make_another_machine(result: Callable) -> None:
    here = msgspec.structs.replace(result().environment, gpu=H100, cuda="13.0")
    later = {"cuda": "13.1", "memory_gb": 8.2, "python": "3.12"}
    assert msgspec.structs.replace(here, **later).identity == here.identity


@pytest.mark.parametrize(
    "part",
    [{"cpu": "Other"}, {"cpu_flags": ()}, {"cores": 4}, {"memory_gb": 16.0}, {"gpu": H100}],
    ids=lambda part: next(iter(part)),
)
def test_another_part_makes_another_machine(part: dict[str, object], result: Callable) -> None:
    here = result().environment
    assert msgspec.structs.replace(here, **part).identity != here.identity
