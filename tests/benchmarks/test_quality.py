"""The quality benchmark's arithmetic: equal minutes, equal classes, copies found; nothing is trained here."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.quality import Copies, list_entries, plan_steps, share_out
from ops.generators.registry import KINDS


def test_every_kind_that_learns_to_draw_a_class_has_a_row_and_the_flow_a_student() -> None:
    entries = list(list_entries())
    assert [entry.name for entry in entries] == ["flow", "flow distilled to 2", "edm", "ddpm", "dcgan", "stylegan2"]
    varying = {"geometry", "munit", "prior", "instance", "mae"}  # they change real images
    larger, elsewhere = {"latent"}, {"onnx", "stable-diffusion", "unclip"}
    assert {entry.kind.name for entry in entries} == set(KINDS) - varying - larger - elsewhere
    samplers = [(entry.sampler.solver, entry.sampler.steps) for entry in entries]
    assert samplers == [("heun", 3), ("euler", 2), ("heun", 9), ("dpmpp", 10), (None, None), (None, None)]


@pytest.mark.parametrize("after", [0.0, 30.0, 119.0, 500.0])
def test_all_rows_take_the_same_minutes(after: float) -> None:
    steps, share = plan_steps(240, 0.2, after)
    assert 240 - 0.2 <= steps * 0.2 + share * after <= 240 + 1e-9
    assert share == min(1.0, 120 / max(after, 120))


def test_at_least_one_step_is_planned_without_time() -> None:
    assert plan_steps(0.01, 1.0, 10.0)[0] == 1


def test_classes_are_drawn_in_equal_numbers() -> None:
    assert share_out(23).counts == (3, 3, 3, 2, 2, 2, 2, 2, 2, 2)
    assert len(share_out(5_000)) == 5_000


def test_copies_of_training_images_are_counted_and_other_images_are_not() -> None:
    train, strangers = (
        torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)) for seed in (0, 1)
    )
    copies = Copies(train)
    assert [copies.share(images) for images in (train, strangers, torch.cat([train, strangers]))] == [1.0, 0.0, 0.5]
