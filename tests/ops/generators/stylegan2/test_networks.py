"""Maker and critic: sizes, what an image follows from, truncation, the minibatch standard deviation, the projection."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from ops.errors import UserError
from ops.generators.stylegan2.critic import StyleCritic, append_deviation
from ops.generators.stylegan2.grids import check_shape, plan_grids
from ops.generators.stylegan2.layers import normalise
from ops.generators.stylegan2.maker import StyledLayer, StyleMaker, rearrange
from ops.recipe.stylegan2 import StyleGan2Settings

SIZES: dict[str, Any] = {"base": 8, "style": 6, "layers": 2, "classes": 3}


def make_maker(shape: tuple[int, int, int] = (1, 11, 14), **changes: Any) -> StyleMaker:
    torch.manual_seed(0)
    return StyleMaker(*shape, **{**SIZES, **changes}).eval()


def test_grids_double_up_to_the_image() -> None:
    grids = plan_grids(28, 28, 16)
    assert grids.sides == ((7, 7), (14, 14), (28, 28)) and grids.widths == (64, 32, 16)
    assert plan_grids(4, 9, 16).sides == ((4, 9),)
    wide = plan_grids(64, 100, 8)
    assert wide.sides[0] == (4, 7) and wide.sides[-1] == (64, 112) and wide.widths == (64, 64, 32, 16, 8)
    for height in range(4, 70):
        for width in (4, 13, 65):
            grids = plan_grids(height, width, 8)
            (first, last), side = (grids.sides[0], grids.sides[-1]), min(height, width)
            assert 4 <= min(first) <= 8 and min(last) >= side and last[0] >= height and last[1] >= width
            assert max(last[0] - height, last[1] - width) < 2 ** (len(grids.sides) - 1)


def test_images_that_are_too_small_are_refused_in_one_sentence() -> None:
    check_shape(StyleGan2Settings(), (1, 4, 4))
    assert StyleGan2Settings().find_latent((1, 4, 4)) == 16
    with pytest.raises(UserError, match="needs images of at least 4 pixels a side; these have 3"):
        check_shape(StyleGan2Settings(), (1, 3, 9))
    with pytest.raises(UserError, match="an image of 64 numbers is too small for a latent of 65"):
        check_shape(StyleGan2Settings(latent=65), (1, 8, 8))


@pytest.mark.parametrize(("shape", "classes"), [((1, 11, 14), 3), ((3, 4, 5), 1), ((3, 16, 16), 2)])
@torch.no_grad()
def test_both_networks_take_any_size(shape: tuple[int, int, int], classes: int) -> None:
    maker = make_maker(shape, classes=classes)
    z, label = torch.randn(5, maker.latent), torch.arange(5) % classes
    images = maker(z, label)
    assert images.shape == (5, *shape) and images.dtype == torch.float32
    critic = StyleCritic(*shape, base=8, classes=classes)
    assert critic(images, label).shape == (5,)


@torch.no_grad()
def test_an_image_follows_from_its_own_numbers_and_label_alone() -> None:
    maker = make_maker()
    for layer in maker.layers:
        layer.strength.fill_(0.3)
    z, label = torch.randn(6, maker.latent), torch.arange(6) % 3
    images = maker(z, label)
    torch.testing.assert_close(maker(z[2:3], label[2:3]), images[2:3], atol=1e-5, rtol=0)
    assert (maker(z, (label + 1) % 3) - images).abs().mean() > 0.01
    changed = z.clone()
    changed[:, 6:] = torch.randn(6, maker.latent - 6)  # what only the planes of noise take
    assert (maker(changed, label) - images).abs().mean() > 0.01
    for layer in maker.layers:
        layer.strength.zero_()
    torch.testing.assert_close(maker(changed, label), maker(z, label))  # untrained layers add none


def test_each_layer_takes_every_number_in_an_order_of_its_own() -> None:
    taken = [rearrange(784, 784, layer) for layer in range(8)]
    assert all(sorted(places.tolist()) == list(range(784)) for places in taken)
    assert len({tuple(places.tolist()) for places in taken}) == 8
    repeated = rearrange(16, 40, 3)
    assert sorted(repeated.bincount().tolist()) == [2] * 8 + [3] * 8
    torch.manual_seed(0)
    planes = torch.randn(4000, 784)[:, taken[2]]
    assert abs(float(planes.mean())) < 0.01 and float(planes.var()) == pytest.approx(1, abs=0.01)
    neighbours = (planes[:, 1:] * planes[:, :-1]).mean()
    assert abs(float(neighbours)) < 0.01


@torch.no_grad()
def test_noise_is_added_with_its_strength() -> None:
    layer = StyledLayer(4, 5, style=6, places=torch.arange(9))
    x, w, z = torch.randn(2, 4, 3, 3), torch.randn(2, 6), torch.randn(2, 12)
    layer.strength.fill_(2.0)
    before = layer.conv(x, w) + 2 * z[:, None, :9].view(2, 1, 3, 3)
    torch.testing.assert_close(layer(x, w, z), math.sqrt(2) * torch.where(before > 0, before, 0.2 * before))


@torch.no_grad()
def test_truncation_moves_styles_towards_the_mean_of_their_class() -> None:
    maker = make_maker()
    z, label = torch.randn(400, maker.latent), torch.arange(400) % 3
    maker.settle(z, label)
    for c in range(3):
        torch.testing.assert_close(maker.mapping.centres[c], maker.mapping(z, torch.full((400,), c)).mean(dim=0))
    assert not torch.allclose(maker.mapping.centres[0], maker.mapping.centres[1], atol=0.05)
    w = maker.mapping(z, label)
    half = maker.mapping.truncate(w, label, 0.5)
    torch.testing.assert_close(half - maker.mapping.centres[label], (w - maker.mapping.centres[label]) / 2)
    torch.testing.assert_close(maker(z, label, 1.0), maker(z, label))
    alike = maker(z, label, 0.0)
    torch.testing.assert_close(alike[0], alike[3])  # of one class
    assert not torch.allclose(alike[0], alike[1], atol=0.01)


@torch.no_grad()
def test_a_larger_z_is_the_same_style() -> None:
    maker = make_maker()
    z, label = torch.randn(4, maker.latent), torch.zeros(4, dtype=torch.int64)
    torch.testing.assert_close(maker.mapping(3 * z, label), maker.mapping(z, label))


def test_the_deviation_among_images_of_a_class_is_one_more_channel() -> None:
    x, label = torch.randn(8, 3, 2, 2), torch.tensor([0, 2, 0, 0, 1, 2, 2, 2])
    found = append_deviation(x, label)
    assert found.shape == (8, 4, 2, 2) and torch.equal(found[:, :3], x)
    for c in range(3):
        rows = label == c
        own = x[rows].flatten(1).std(dim=0, correction=0).mean()
        torch.testing.assert_close(found[rows, 3], own.expand(int(rows.sum()), 2, 2), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(append_deviation(x.to(memory_format=torch.channels_last), label), found)
    repeated = torch.where((label == 2)[:, None, None, None], x[1], x).requires_grad_()  # others still differ
    alike = append_deviation(repeated, label)
    assert float(alike[label == 2, 3].detach().max()) < 1e-3 < 0.1 < float(alike[0, 3].detach().max())
    (gradient,) = torch.autograd.grad(alike[:, 3].sum(), repeated)
    assert gradient.isfinite().all()


@torch.no_grad()
def test_the_critic_projects_its_features_on_the_class() -> None:
    torch.manual_seed(0)
    critic = StyleCritic(1, 8, 8, base=8, classes=3)
    assert critic.vectors is not None
    images = torch.randn(4, 1, 8, 8)
    kept: list[torch.Tensor] = []
    critic.score.register_forward_hook(lambda module, given, output: kept.append(output))
    for label in range(3):
        score = critic(images, torch.full((4,), label))
        direction = normalise(critic.vectors.weight[label][None])
        torch.testing.assert_close(score, (kept[-1] * direction).sum(dim=1) / math.sqrt(critic.score.weight.shape[0]))
