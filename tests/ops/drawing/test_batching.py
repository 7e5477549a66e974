"""The batch size: pixels never depend on it, trials are bounded, and the default is kept where bits would differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ops.drawing.batching import CPU_BATCH, cuda_batch, measure_batch_size, resolve_batch_size
from ops.generators.folder import find_sampler
from ops.generators.noise import draw_noise
from ops.generators.onnx.engine import OnnxFile, Sampler

MANY = 1_000_000


class FakeSampler:
    """Takes `seconds[batch_size]` for an image on its own clock. Draws zeros, or other bits at `differs_at`."""

    info = SimpleNamespace(shape=(1, 2, 2), class_names=("a", "b"), inputs=("noise", "label"))

    def __init__(self, seconds: dict[int, float], batch_size: int = CPU_BATCH, differs_at: int = 0) -> None:
        self.seconds, self.batch_size, self.differs_at = seconds, batch_size, differs_at
        self.now = [0.0]
        self.tried: list[int] = []

    def with_batch_size(self, batch_size: int) -> FakeSampler:
        other = FakeSampler(self.seconds, batch_size, self.differs_at)
        other.now, other.tried = self.now, self.tried
        self.tried.append(batch_size)
        return other

    def draw(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        count = len(feeds["label"])
        self.now[0] += self.seconds[self.batch_size] * count
        return np.full(count, self.batch_size if self.batch_size == self.differs_at else 0)

    def measure(self, images: int = MANY, largest: int = 4096) -> int:
        return measure_batch_size(self, images=images, largest=largest, clock=lambda: self.now[0])


SECONDS = {16: 0.0002, 32: 0.0003, 64: 0.0004, 128: 0.00039, 256: 0.001}


def test_the_fastest_size_is_chosen() -> None:
    assert FakeSampler(SECONDS).measure() == 16
    assert FakeSampler({**SECONDS, 128: 0.0001}).measure() == 128


def test_a_gain_within_the_noise_is_ignored() -> None:
    assert FakeSampler({**SECONDS, 16: 0.00039, 32: 0.00041}).measure() == CPU_BATCH


def test_the_default_is_kept_where_another_size_draws_other_bits() -> None:
    for size in (16, 128):
        assert FakeSampler(SECONDS, differs_at=size).measure() == CPU_BATCH


def test_trials_cost_a_small_part_of_the_job_and_about_a_second() -> None:
    sampler = FakeSampler(SECONDS)
    sampler.measure(images=10_000)
    assert sampler.tried == [32]
    slow = FakeSampler({size: 1000 * seconds for size, seconds in SECONDS.items()})
    assert slow.measure() == CPU_BATCH
    assert slow.tried == []
    small_pieces = FakeSampler(SECONDS)
    small_pieces.measure(largest=20)
    assert small_pieces.tried == [16]


def test_a_given_size_is_used_and_small_jobs_measure_nothing(
    generator_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = OnnxFile(find_sampler(generator_folder))
    options: dict[str, Any] = {"pixels": 390, "piece": 4096, "images": 9_000}
    assert resolve_batch_size(7, spec, provider="cpu", **options) == 7
    assert resolve_batch_size(7, spec, provider="cuda", **options) == 7

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("opened a sampler")

    monkeypatch.setattr(OnnxFile, "open", refuse)
    assert resolve_batch_size(None, spec, provider="cpu", **{**options, "images": 1_000}) == CPU_BATCH
    assert resolve_batch_size(None, spec, provider="cuda", **options) == 4096
    assert resolve_batch_size(None, spec, provider="cuda", **{**options, "piece": 256}) == 256


@pytest.mark.parametrize(
    ("side", "channels", "expected"),
    [(28, 1, 2048), (32, 3, 512), (128, 3, 32), (512, 3, 2), (9999, 3, 1), (1, 1, 4096)],
)
def test_on_cuda_the_size_depends_on_the_image_alone(side: int, channels: int, expected: int) -> None:
    assert cuda_batch(side * side * channels) == expected


def test_a_large_job_measures_the_real_sampler(generator_folder: Path) -> None:
    chosen = resolve_batch_size(
        None, OnnxFile(find_sampler(generator_folder)), provider="cpu", pixels=390, piece=256, images=200_000
    )
    assert chosen in (16, 32, 64, 128)


@pytest.fixture(params=["heun", "euler"])
def trial(request: pytest.FixtureRequest, make_sampler: Callable[[str, int], Path]) -> Iterator[Path]:
    yield make_sampler(request.param, 2)


def test_the_bits_of_an_image_do_not_depend_on_the_batch_size(trial: Path) -> None:
    sampler = Sampler(trial, batch_size=64)
    noise = draw_noise((3, 10, 13), seed=2, round_=0, unit="x", start=0, count=300)
    label = np.arange(300) % 3
    expected = sampler.draw({"noise": noise, "label": label})
    for size in (1, 5, 16, 17, 32, 128, 256):
        np.testing.assert_array_equal(sampler.with_batch_size(size).draw({"noise": noise, "label": label}), expected)
    np.testing.assert_array_equal(
        sampler.draw({"noise": noise, "label": label}), expected
    )  # the other sampler has not overwritten its buffers
