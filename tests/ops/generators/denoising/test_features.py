"""Features of a denoiser: what its network is fed, block by block, and what a feature does not depend on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.generators.denoising.features import PART_IMAGES, DenoiserFeatures, find_unlabelled, pool_cells
from ops.generators.denoising.network import ConditionalUNet
from ops.generators.kinds.ddpm import Ddpm
from ops.generators.kinds.denoiser import Denoiser
from ops.generators.kinds.edm import Edm
from ops.generators.kinds.flow import Flow
from ops.generators.levels import to_float
from ops.machine.parallel import start_threads

SHARE, SEED = 0.3, 5
IMAGES = np.random.default_rng(0).integers(0, 256, (PART_IMAGES + 6, 8, 8, 1), np.uint8)


@pytest.fixture(scope="module")
def network() -> ConditionalUNet:
    torch.manual_seed(0)
    return ConditionalUNet(channels=1, height=8, width=8, labels=3, widths=(8, 16), unshuffle=1).eval()


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with start_threads() as threads:
        yield threads


class Listening(torch.nn.Module):
    """A network that only notes what it is fed."""

    def __init__(self, network: ConditionalUNet) -> None:
        super().__init__()
        self.unet, self.fed = network.unet, list[tuple[Tensor, Tensor, Tensor]]()

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        self.fed.append((x, t, label))
        return x


@pytest.mark.parametrize("maths", [Flow(), Edm(0.4), Ddpm()], ids=lambda maths: maths.name)
def test_the_network_is_fed_the_image_with_that_share_of_the_seeds_noise(
    maths: Denoiser, network: ConditionalUNet
) -> None:
    listening: Any = Listening(network)
    DenoiserFeatures(maths, listening, label=2, seed=SEED)._evaluate(torch.from_numpy(IMAGES[:4]), SHARE)
    ((x, t, label),) = listening.fed
    noise = torch.randn((1, 8, 8), generator=torch.Generator().manual_seed(SEED))
    images = to_float(torch.from_numpy(IMAGES[:4]))
    level = torch.tensor([maths.find_level(SHARE)])
    assert maths.noise_share(level).item() == pytest.approx(SHARE, abs=1e-6)
    assert label.tolist() == [2] * 4
    if maths.name == "flow":
        assert torch.allclose(x, (1 - SHARE) * images + SHARE * noise, atol=1e-6)
        assert torch.allclose(t, torch.full((4,), 1 - SHARE))
    if maths.name == "edm":  # the 30th percentile of ln σ ~ N(-1.2, 1.2²)
        sigma = np.exp(-1.2 + 1.2 * -0.5244005)
        assert torch.allclose(x * np.hypot(sigma, 0.4), images + sigma * noise, atol=1e-5)
    if maths.name == "ddpm":
        assert torch.allclose(t, torch.full((4,), SHARE), atol=1e-3)


def test_features_are_the_means_of_a_blocks_output_over_cells(
    network: ConditionalUNet, pool: ThreadPoolExecutor
) -> None:
    features = DenoiserFeatures(Flow(), network, seed=SEED, cells=2)
    assert features.blocks == ("down1", "down2", "middle", "up1", "up2")
    found = features.describe(IMAGES[:4], SHARE, features.blocks, pool)
    widths = {"down1": 8, "down2": 16, "middle": 16, "up1": 16, "up2": 8}
    assert {name: values.shape for name, values in found.items()} == {k: (4, w * 4) for k, w in widths.items()}
    assert all(values.dtype == np.float32 and values.std(axis=0).max() > 0 for values in found.values())
    # The last block's output again, by the network's own last layers: what they make of it is the network's answer.
    noise = torch.randn((1, 8, 8), generator=torch.Generator().manual_seed(SEED)).expand(4, -1, -1, -1)
    state, outputs = noise.lerp(to_float(torch.from_numpy(IMAGES[:4])), 1 - SHARE), list[Tensor]()
    handle = network.unet.conv_norm_out.register_forward_pre_hook(lambda module, given: outputs.append(given[0]))
    with torch.inference_mode():
        network(state, torch.full((4,), 1 - SHARE), torch.zeros(4, dtype=torch.int64))
    handle.remove()
    cells = outputs[0].reshape(4, 8, 2, 4, 2, 4).mean(dim=(3, 5)).flatten(1)
    assert np.allclose(found["up2"], cells.numpy(), atol=1e-5)


def test_a_feature_depends_on_its_image_the_noise_and_the_seed_alone(
    network: ConditionalUNet, pool: ThreadPoolExecutor
) -> None:
    def describe(images: np.ndarray, share: float = SHARE, seed: int = SEED) -> np.ndarray:
        return DenoiserFeatures(Flow(), network, seed=seed).describe(images, share, ["middle"], pool)["middle"]

    whole = describe(IMAGES)
    assert len(whole) == len(IMAGES) and np.array_equal(describe(IMAGES), whole)
    assert np.allclose(describe(IMAGES[::-1]), whole[::-1], atol=1e-5)
    assert np.allclose(describe(IMAGES[-3:]), whole[-3:], atol=1e-5)
    assert not np.allclose(describe(IMAGES[:3], share=0.6), whole[:3], atol=1e-3)
    assert not np.allclose(describe(IMAGES[:3], seed=6), whole[:3], atol=1e-3)
    assert not network.unet.mid_block._forward_hooks, "nothing is left behind in the network"


def test_a_block_with_fewer_places_than_cells_keeps_them() -> None:
    assert torch.equal(pool_cells(torch.arange(4.0).reshape(1, 1, 2, 2), 4), torch.arange(4.0)[None])


def test_a_network_that_knows_classes_is_told_none() -> None:
    known = {"class_names": ["a", "b"], "drops_labels": True}
    assert find_unlabelled(known) == 2 and find_unlabelled({**known, "labelled": False}) == 0
    with pytest.raises(ValueError, match="always told classes"):
        find_unlabelled({**known, "drops_labels": False})
