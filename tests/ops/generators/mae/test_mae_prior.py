"""Kind `mae` as a prior of guided imagination: it keeps the protocol, and varies as the generator does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ops.generators.feeds import make_feeds, spread_draws
from ops.generators.imaginable import ImaginingKind
from ops.generators.levels import to_pixels
from ops.generators.mae.mae_prior import MaePrior
from ops.generators.mae.network import build_mae
from ops.generators.mae.sizes import describe_network
from ops.generators.mae_kind import MaeKind
from ops.generators.stored_network import save_network
from ops.imagination.protocols import Request, VaryingPrior
from ops.recipe.mae import MaeSettings
from ops.recipe.sampler import SamplerSettings
from tests.perturb import draw_seeds

SHAPE = (3, 9, 12)
SEEDS = draw_seeds(SHAPE, [0, 1, 2])
SAMPLER = SamplerSettings(strength=0.4)


def save(folder: Path, normalise: bool) -> None:
    """The directory of an untrained generator."""
    half, (channels, height, width) = {"width": 16, "layers": 1, "heads": 2}, SHAPE
    settings = MaeSettings.model_validate({"patch": 4, "normalise": normalise, "encoder": half, "decoder": half})
    config = {
        "kind": "mae", "channels": channels, "height": height, "width": width, "class_names": ["a"], "labelled": False,
        "hidden": [0.1, 0.6], "network": describe_network(settings, SHAPE), "frame": None,
    }  # fmt: skip
    torch.manual_seed(2)
    save_network(folder, build_mae(config), config)


@pytest.mark.parametrize("normalise", [False, True])
def test_it_varies_as_the_generator_and_decodes_with_gradients(tmp_path: Path, normalise: bool) -> None:
    save(tmp_path, normalise)
    kind = MaeKind()
    assert isinstance(kind, ImaginingKind)
    prior = kind.open_prior(tmp_path, SAMPLER)
    assert isinstance(prior, VaryingPrior) and isinstance(prior, MaePrior)
    assert prior.latent_shape == (10, 18 if normalise else 16)
    image = torch.from_numpy(SEEDS.images[:1]).permute(0, 3, 1, 2).float() / 255
    requests = [Request(SEEDS.ids[0], 0, k, 1, 0) for k in range(4)]
    latents = prior.vary(image.expand(4, -1, -1, -1), requests)
    images = prior.decode(latents)
    assert images.shape == (4, *SHAPE) and images.dtype == torch.float32
    assert float(images.min()) >= 0 and float(images.max()) <= 1
    noise = make_feeds(("noise",), SHAPE, spread_draws(SEEDS.ids[0], SEEDS.labels[[0] * 4]), seed=1)["noise"]
    feeds = {"noise": torch.from_numpy(noise), "image": torch.from_numpy(SEEDS.images[:1]).expand(4, -1, -1, -1)}
    drawn = kind.load(tmp_path).sample(feeds, SAMPLER)
    assert (to_pixels(images * 2 - 1).int() - drawn).abs().max() <= 1 and len(drawn.unique(dim=0)) == 4
    assert torch.equal(prior.render(latents), images), "without an exported decoder"
    latent = prior.encode(image).requires_grad_()
    prior.decode(latent).sum().backward()
    assert latent.grad is not None and bool(latent.grad[0].any(dim=1).all()), "every token has a say"


def test_a_latent_s_numbers_follow_from_its_own_image_and_request(tmp_path: Path) -> None:
    save(tmp_path, False)
    prior = MaeKind().open_prior(tmp_path, SAMPLER)
    images = torch.from_numpy(SEEDS.images).permute(0, 3, 1, 2).float() / 255
    requests = [Request(name, 0, k, 1, 0) for k, name in enumerate(SEEDS.ids)]
    together = prior.vary(images, requests)
    alone = torch.cat([prior.vary(images[i : i + 1], requests[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    other = prior.vary(images, [Request(name, 0, k, 2, 0) for k, name in enumerate(SEEDS.ids)])
    assert not torch.isclose(together, other).all(dim=2).all(dim=1).any()
