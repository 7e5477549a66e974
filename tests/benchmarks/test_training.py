"""The training benchmark's two sides: both train the stated network, and one process stays on its cores."""

from __future__ import annotations

import os

import torch

from benchmarks.parts.harness import use_cores
from benchmarks.parts.plain import NormalisedImages, build_plain_unet, train_plainly
from benchmarks.training import count_parameters, make_images, train_ours


def test_the_plain_side_is_diffusers_default_at_full_resolution() -> None:
    model = build_plain_unet()
    assert model.config["sample_size"] == 28
    assert model.config["layers_per_block"] == 2
    assert model.mid_block.attentions[0] is not None
    assert count_parameters(model) == 917_889


def test_the_plain_side_learns_from_normalised_images() -> None:
    torch.manual_seed(0)
    images = make_images()[0][:4]
    stored = NormalisedImages(images)
    assert torch.allclose(stored[1], images[1].float() / 127.5 - 1, atol=1e-6)
    model = build_plain_unet()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    train_plainly(model, images, batch_size=2, loaders=0)(3)  # one more than an epoch has
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_our_side_reports_its_steps() -> None:
    go, steps = train_ours("fp32", 1)
    go()
    assert steps == 1


def test_one_core_limits_processes_and_is_undone() -> None:
    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    with use_cores(1):
        assert os.sched_getaffinity(0) == {max(cores)}
        assert torch.get_num_threads() == 1
    assert os.sched_getaffinity(0) == cores
    assert torch.get_num_threads() == threads
