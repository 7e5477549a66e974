"""Utilisation: arithmetic in closed form, and a matrix product that is really measured."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from benchmarks.parts.utilisation import (
    SIDE,
    Utilisation,
    describe_utilisation,
    gpu_name,
    measure_matmul,
    measure_utilisation,
    nominal_peak,
)
from ops.generators.folder import find_sampler


def test_the_product_is_timed_by_the_clock_it_is_given() -> None:
    ticks = itertools.count(0, 0.5)
    assert measure_matmul(clock=lambda: next(ticks)) == pytest.approx(2 * SIDE**3 / 0.5 / 1e9)
    assert measure_matmul() > 0.1


def test_shares_follow_from_operations_images_and_seconds() -> None:
    used = describe_utilisation(2_000_000, 50_000, 4.0, processes=2, matmul=50.0)
    assert used == Utilisation(25.0, 100.0, None)
    assert used.of_matmul == 0.25
    assert used.of_nominal is None
    assert used.sentence() == "25 GFLOP/s, 25% of a matrix product here"


def test_the_nominal_peak_is_reported_where_it_is_known() -> None:
    assert nominal_peak("NVIDIA H100 80GB HBM3") == 67_000
    assert nominal_peak("NVIDIA H100 PCIe") == 51_000
    assert nominal_peak("Some Accelerator") is None
    assert nominal_peak(None) is None
    used = describe_utilisation(10**9, 1000, 1.0, processes=1, matmul=2000.0, device="Tesla T4")
    assert used.sentence().endswith("50% of a matrix product here, 12% of the device's nominal peak")


def test_the_name_of_a_gpu_is_its_drivers(tmp_path: Path) -> None:
    assert gpu_name(tmp_path) is None
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("IRQ: 1\nModel: \t\t NVIDIA L4\n")
    assert gpu_name(tmp_path) == "NVIDIA L4"


def test_a_real_sampler_is_reported(generator_folder: Path) -> None:
    sampler = find_sampler(generator_folder)
    told = measure_utilisation(sampler, images=1000, seconds=2.0, provider="cpu", processes=2)
    assert told is not None and "GFLOP/s, " in told and told.endswith(" of a matrix product here")
