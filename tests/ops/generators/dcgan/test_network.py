"""DCGAN's networks: sizes for every image, how labels act, and that an image does not depend on its batch."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ops.errors import UserError
from ops.generators.adversarial.pair import Pair
from ops.generators.dcgan.design import Dcgan
from ops.generators.dcgan.layers import EPSILON, ClassNorm, PartNorm
from ops.generators.dcgan.network import SETTLED, DcganMaker
from ops.generators.dcgan.sizes import check_shape, count_products, plan_sizes
from ops.recipe.dcgan import DcganSettings

NAMES = ["a", "b", "c"]


def build(shape: tuple[int, int, int], **changes: Any) -> Pair:
    settings = DcganSettings(**{"width": 8, **changes})
    channels, height, width = shape
    config = {"channels": channels, "height": height, "width": width, "class_names": NAMES}
    torch.manual_seed(0)
    return Dcgan().build_pair({**config, **Dcgan().describe(settings, shape)}, settings)


def draw(maker: nn.Module, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    assert isinstance(maker, DcganMaker)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, maker.latent, generator=generator), torch.arange(count) % 3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [(4, 4), (8, 8), (9, 13), (16, 16), (28, 28), (32, 32), (28, 61), (64, 64)])
@pytest.mark.parametrize("spectral", [True, False])
def test_images_of_any_size_are_drawn_and_judged(channels: int, side: tuple[int, int], spectral: bool) -> None:
    pair = build((channels, *side), spectral_norm=spectral).eval()
    with torch.inference_mode():
        images = pair.maker(*draw(pair.maker, 4))
        scores = pair.critic(images, torch.arange(4) % 3)
    assert images.shape == (4, channels, *side) and float(images.abs().max()) <= 1
    assert scores.shape == (4,) and scores.isfinite().all()


@pytest.mark.parametrize(
    ("side", "first", "last"),
    [(8, 4, 4), (16, 4, 4), (28, 7, 3), (32, 4, 4), (33, 5, 4), (64, 4, 4), (128, 4, 4), (300, 10, 4)],
)
def test_the_smallest_maps_have_about_four_places_a_side(side: int, first: int, last: int) -> None:
    sizes = plan_sizes(side, side, 16)
    assert (sizes.first, sizes.last) == ((first, first), (last, last))
    assert sizes.made[-1] == sizes.judged[0] == 16 and max(sizes.made + sizes.judged) <= 8 * 16


def test_at_the_published_size_the_maps_are_those_of_the_publication() -> None:
    """Radford et al. 2016, figure 1: 4 x 4 x 1024, 8 x 8 x 512, 16 x 16 x 256, 32 x 32 x 128, the image."""
    sizes = plan_sizes(64, 64, 128)
    assert (sizes.first, sizes.made) == ((4, 4), (1024, 512, 256, 128))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 48), (3, 64, 64)])
def test_counted_products_are_those_of_the_layers(shape: tuple[int, int, int]) -> None:
    """Each weight of a convolution meets each place of its smaller map."""
    pair, settings, found = build(shape).eval(), DcganSettings(width=8), {"maker": 0.0, "critic": 0.0}

    def count(side: str, module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        places = 1
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            places = min(tensor.shape[2] * tensor.shape[3] for tensor in (given[0], output))
        assert isinstance(module.weight, Tensor)
        found[side] += 2 * places * module.weight.numel()

    for side, network in pair.named_children():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                module.register_forward_hook(partial(count, side))
    with torch.inference_mode():
        pair.maker(*draw(pair.maker, 1))
        pair.critic(torch.zeros(1, *shape), torch.zeros(1, dtype=torch.int64))
    products = count_products(settings, shape)
    assert products.make == found["maker"]
    assert products.judge == pytest.approx(found["critic"], rel=0.01)  # less the score's own few


def settle(pair: Pair, count: int = 600) -> None:
    pair.eval()
    with torch.no_grad():
        pair.maker.settle(*draw(pair.maker, count, seed=1))


def test_when_images_are_drawn_one_does_not_depend_on_the_others_of_its_batch() -> None:
    pair = build((1, 16, 16))
    settle(pair)
    z, label = draw(pair.maker, 8)
    with torch.inference_mode():
        together = pair.maker(z, label)
        alone = torch.cat([pair.maker(z[i : i + 1], label[i : i + 1]) for i in range(8)])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
        pair.train()  # where it does: the test would see it
        assert float((pair.maker(z[:4], label[:4]) - pair.maker(z, label)[:4]).abs().max()) > 1e-3


def test_settled_statistics_draw_what_a_large_batch_draws_in_training() -> None:
    """Which norms keep no running averages for; those of untrained buffers draw something else."""
    pair = build((1, 16, 16))
    z, label = draw(pair.maker, 600, seed=1)
    with torch.inference_mode():
        expected = pair.train().maker(z, label)
        unsettled = pair.eval().maker(z, label)
    settle(pair)
    with torch.inference_mode():
        torch.testing.assert_close(pair.maker(z, label), expected, rtol=1e-3, atol=1e-4)
    assert float((unsettled - expected).abs().max()) > 1e-3


def test_norms_are_settled_on_a_few_images_at_a_time() -> None:
    """A batch of all of them would hold the largest maps of all at once."""
    maker: Any = build((1, 16, 16)).maker.eval()
    seen: list[int] = []
    maker.first.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    with torch.no_grad():
        maker.settle(*draw(maker, 120))
    assert seen == [SETTLED, SETTLED, 120 - 2 * SETTLED] * len(maker.norms)


def test_a_norm_is_batch_norm_with_a_gain_and_a_shift_of_each_images_class() -> None:
    norm, x, label = ClassNorm(3, 2), torch.randn(6, 2, 4, 4) * 3 + 1, torch.tensor([0, 1, 2, 2, 1, 0])
    with torch.no_grad():
        norm.gain.weight.copy_(torch.randn(3, 2))
        norm.shift.weight.copy_(torch.randn(3, 2))
    mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0)
    plain = (x - mean[:, None, None]) / (variance[:, None, None] + EPSILON).sqrt()
    expected = norm.gain.weight[label][:, :, None, None] * plain + norm.shift.weight[label][:, :, None, None]
    torch.testing.assert_close(norm(x, label), expected, rtol=1e-4, atol=1e-5)
    norm.measure(x.split([1, 3, 2]))
    torch.testing.assert_close(norm.eval()(x, label), expected, rtol=1e-4, atol=1e-5)


def test_the_critics_score_is_a_part_for_the_image_and_one_for_its_class() -> None:
    """D(x, y) = ψ(φ(x)) + <v_y, φ(x)>."""
    pair = build((1, 8, 8), spectral_norm=False).eval()
    critic: Any = pair.critic
    x = torch.rand(5, 1, 8, 8)
    with torch.inference_mode():
        scores = torch.stack([critic(x, torch.full((5,), label)) for label in range(3)])
        critic.classes.weight.zero_()
        plain = critic(x, torch.zeros(5, dtype=torch.int64))
    assert (scores - plain).abs().amax(dim=1).min() > 0
    assert not any(isinstance(module, PartNorm) for module in [critic.norms[0]])


@pytest.mark.parametrize(
    ("changes", "shape", "sentence"),
    [
        ({}, (1, 28, 3), "kind: dcgan needs images of at least 4 pixels a side; these have 3"),
        ({"latent": 17}, (1, 4, 4), "an image of 16 numbers is too small for a latent of 17"),
    ],
)
def test_images_that_are_too_small_are_refused(
    changes: dict[str, int], shape: tuple[int, int, int], sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        check_shape(DcganSettings(**changes), shape)
    assert str(refused.value) == sentence


def test_a_small_image_is_drawn_from_as_many_numbers_as_it_has() -> None:
    assert [DcganSettings().find_latent(shape) for shape in ((1, 8, 8), (3, 8, 8), (1, 28, 28))] == [64, 100, 100]
