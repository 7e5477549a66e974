"""What a masked autoencoder costs: products are counted as torch counts them, and estimates have all parts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ops.generators.mae.guessing import add_scale, count_products, find_visible, weigh_decoder
from ops.generators.mae.masking import count_kept
from ops.generators.mae.network import build_mae
from ops.generators.mae.sizes import describe_network
from ops.generators.registry import KINDS
from ops.recipe.mae import SCALED, MaeSettings
from ops.recipe.sampler import SamplerSettings

SHAPE = (1, 28, 28)


def count(compute: object, *given: torch.Tensor) -> float:
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        compute(*given)
    return float(counter.get_total_flops())


def test_products_are_those_that_torch_counts() -> None:
    network = describe_network(MaeSettings(), SHAPE)
    mae = build_mae({"channels": 1, "height": 28, "width": 28, "network": network, "frame": None}).eval()
    found = count_products(network)
    assert found.encode == pytest.approx(count(mae.encode, torch.zeros(1, *SHAPE)), rel=0.01)
    assert found.decode == pytest.approx(count(mae.decode, torch.zeros(1, *mae.mean.shape)), rel=0.01)
    kept = torch.arange(count_kept(0.75, 49))[None]
    trained = count_products(network, len(kept[0]) / 49)
    assert trained.encode + trained.decode == pytest.approx(count(mae.rebuild, torch.zeros(1, *SHAPE), kept), rel=0.01)
    assert weigh_decoder(network) == found.decode / (found.encode + found.decode)
    assert find_visible(MaeSettings(mask=(0.25, 0.75))) == 0.5


def test_a_cost_is_that_of_its_steps_and_of_the_pool_s_images_that_are_encoded() -> None:
    cost = add_scale(MaeSettings(steps=100), 2.0, 0.25, 0.75, 4)
    assert (cost.fit_seconds, cost.step_seconds, cost.image_seconds) == (200 + SCALED * 1.0 / 4, 2.0, 0.75)


def test_an_estimate_is_timed_and_a_guess_is_not(tmp_path: Path) -> None:
    half = {"width": 16, "layers": 1, "heads": 2}
    settings = MaeSettings.model_validate({"encoder": half, "decoder": half, "batch_size": 4, "steps": 50})
    sampler, kind = SamplerSettings(strength=0.4), KINDS["mae"]
    for cost in (
        kind.estimate(settings, sampler, (1, 8, 8), 1, tmp_path),
        kind.guess(settings, sampler, (1, 8, 8), tmp_path, 1e9, 2),
    ):
        assert cost.step_seconds > 0 and cost.image_seconds > 0 and cost.fit_seconds > 50 * cost.step_seconds
