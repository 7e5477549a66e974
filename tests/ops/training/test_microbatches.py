"""Weights for one, two and three threads and beside a busy process, bit by bit; gradients against the whole batch's."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import ops.machine.parallel
from ops.generators.denoising.network import ConditionalUNet
from ops.generators.protocol import Fitting
from ops.generators.registry import KINDS
from ops.machine.parallel import start_threads, use_threads
from ops.recipe.kinds import KINDS as SECTIONS
from ops.training import microbatches
from ops.training.checkpoint import CHECKPOINT
from ops.training.dropout import KeyedDropout, drop_by
from ops.training.microbatches import FEWEST, MOST, InParts, add_in_order, cut_batch

STEPS = 4
SMALL = {"widths": (8, 16), "steps": STEPS, "batch_size": 12, "warmup_steps": 2, "checkpoints": 2}
EVERYTHING = {"dropout": 0.2, "augment": 0.3, "label_dropout": 0.2, "precision": "bf16", "optimizer": "muon"}
STUDENT = {"pairs": 130, "steps": 3, "batch_size": 12}


@pytest.fixture(autouse=True)
def _many_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microbatches, "NUMBERS", 3 * 64)  # twelve images of 8 x 8 become four parts


def fit(folder: Path, kind: str, threads: int, **settings: object) -> bytes:
    """The weights after a few steps of a tiny generator, as the file's bytes."""
    labels = torch.arange(2).repeat_interleave(10)
    images = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    fitting = Fitting(images, labels, ("a", "b"), 7, folder, folder / "out", folder / "scratch")
    fitting.out.mkdir(parents=True, exist_ok=True)
    fitting.scratch.mkdir(exist_ok=True)
    with use_threads(threads):
        KINDS[kind].fit(SECTIONS[kind].model_validate({**SMALL, **settings}), fitting)
    return (folder / "out" / "model.safetensors").read_bytes()


@contextmanager
def burning() -> Iterator[None]:
    """A process that takes a core for itself, for half a minute at most."""
    script = "import time\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
    burner = subprocess.Popen([sys.executable, "-c", script])
    try:
        time.sleep(0.1)
        yield
    finally:
        burner.kill()
        burner.wait()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("flow", {**EVERYTHING, "couple_noise": True, "distillation": STUDENT}),
        ("edm", EVERYTHING),
        ("ddpm", {**EVERYTHING, "precision": "fp32", "optimizer": "adamw"}),
    ],
)
def test_weights_are_the_same_for_any_number_of_threads_and_any_load(
    tmp_path: Path, kind: str, settings: dict[str, object]
) -> None:
    one = fit(tmp_path / "one", kind, 1, **settings)
    with burning():
        others = [fit(tmp_path / str(threads), kind, threads, **settings) for threads in (2, 3)]
    assert others == [one, one]


def test_a_run_that_was_killed_goes_on_to_the_same_weights_dropout_and_threads_and_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(tmp_path / "whole", "flow", 2, **EVERYTHING)

    class Killed(Exception):
        pass

    drop = drop_by

    def drop_or_die(*key: int):  # type: ignore[no-untyped-def]
        if key == (7, 3):  # seed and step, after the checkpoint of step 2
            raise Killed
        return drop(*key)

    monkeypatch.setattr("ops.generators.denoising.steps.drop_by", drop_or_die)
    with pytest.raises(Killed):
        fit(tmp_path / "killed", "flow", 3, **EVERYTHING)
    assert (tmp_path / "killed" / "scratch" / CHECKPOINT).exists()
    monkeypatch.undo()
    monkeypatch.setattr(microbatches, "NUMBERS", 3 * 64)
    torch.rand(5)  # another state of the global generator
    assert fit(tmp_path / "killed", "flow", 1, **EVERYTHING) == whole


@pytest.mark.parametrize("group", [1, 4])
def test_a_cut_parts_no_group_and_leaves_none_too_small(group: int) -> None:
    for images in range(1, 70):
        for numbers in (1, 16, 64, 4000):
            parts = cut_batch(images, numbers, group)
            assert [part.start for part in parts] == [0] + [part.stop for part in parts[:-1]]
            assert parts[-1].stop == images and len(parts) <= MOST
            sizes = [part.stop - part.start for part in parts]
            assert min(sizes) >= min(images, group) and all(part.start % group == 0 for part in parts)
            assert max(sizes) - min(sizes) < 2 * group
            assert len(parts) >= min(FEWEST, max(1, images // group))
    assert [part.stop for part in cut_batch(10, 64)] == [3, 6, 10]  # 10 · 64 numbers are three parts of 192


def cut_by_threads(images: int, numbers: int) -> list[slice]:
    """The fault: a part a thread."""
    ends = [
        images * part // ops.machine.parallel.count_threads()
        for part in range(ops.machine.parallel.count_threads() + 1)
    ]
    return [slice(begin, end) for begin, end in pairwise(ends)]


def add_in_other_order(parts: Sequence[Sequence[Tensor | None]]) -> list[Tensor | None]:
    """The fault: as they may come in where several threads finish."""
    turn = ops.machine.parallel.count_threads() - 1
    return add_in_order([*parts[turn:], *parts[:turn]])


@pytest.mark.parametrize(
    ("name", "fault"), [("cut_batch", cut_by_threads), ("add_in_order", add_in_other_order)], ids=["cut", "order"]
)
def test_a_cut_by_threads_or_a_sum_in_the_order_of_completion_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: Callable[..., object]
) -> None:
    monkeypatch.setattr(microbatches, name, fault)
    one, other = (fit(tmp_path / str(threads), "flow", threads, precision="fp32") for threads in (1, 3))
    assert one != other


@given(st.integers(1, 600), st.integers(1, 200_000))
def test_a_batch_is_cut_in_order_into_equal_parts_and_completely(images: int, numbers: int) -> None:
    parts = cut_batch(images, numbers)
    sizes = [part.stop - part.start for part in parts]
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(images))
    assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1
    assert min(images, FEWEST) <= len(parts) <= MOST


def build_unet(dropout: float = 0.0) -> ConditionalUNet:
    torch.manual_seed(0)
    return ConditionalUNet(channels=1, height=8, width=8, labels=3, widths=(8, 16), dropout=dropout)


def test_outputs_and_gradients_are_those_of_the_whole_batch() -> None:
    network = build_unet().train()
    x, t, label = torch.randn(13, 1, 8, 8), torch.rand(13), torch.arange(13) % 3
    expected = network(x, t, label)
    expected.square().mean().backward()
    gradients = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    network.zero_grad()
    with use_threads(2), start_threads() as pool:
        found = InParts(network, pool)(x, t, label)
        found.square().mean().backward()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-6, msg=name)


def test_a_parameter_that_nothing_depends_on_has_no_gradient_and_an_input_may_not_need_one() -> None:
    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.used

    network = Shift()
    with start_threads() as pool:
        InParts(network, pool)(torch.zeros(5, 1)).sum().backward()
        assert (network.used.grad, network.unused.grad) == (torch.tensor([5.0]), None)
        with pytest.raises(ValueError, match="not for its inputs"):
            InParts(network, pool)(torch.zeros(5, 1, requires_grad=True))


def test_an_error_in_a_part_is_raised_here() -> None:
    with start_threads() as pool, pytest.raises(IndexError):
        InParts(build_unet(), pool)(torch.zeros(4, 1, 8, 8), torch.zeros(4), torch.full((4,), 9))


def test_masks_follow_their_key_alone_and_drop_the_share_that_is_asked_for() -> None:
    dropout, x = KeyedDropout(0.3), torch.ones(40, 50)
    with drop_by(1, 2):
        first = dropout(x)
    torch.rand(3)
    with drop_by(1, 2):
        assert torch.equal(dropout(x), first)
        assert not torch.equal(dropout(x), first)  # the next layer's mask is another
    with drop_by(1, 3):
        assert not torch.equal(dropout(x), first)
    assert float((first == 0).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert first.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert torch.equal(dropout.eval()(x), x)


def test_the_networks_dropout_is_keyed_and_without_a_key_training_with_it_refuses() -> None:
    network = build_unet(dropout=0.5).train()
    assert not any(isinstance(module, nn.Dropout) for module in network.modules())
    with pytest.raises(LookupError):
        network(torch.zeros(2, 1, 8, 8), torch.zeros(2), torch.zeros(2, dtype=torch.int64))
