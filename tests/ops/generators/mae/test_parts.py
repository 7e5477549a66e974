"""The parts of a masked autoencoder: patches, which are hidden, what is drawn by chance, the frame of images."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ops.generators.mae.chance import TERMS, make_table, take_chance
from ops.generators.mae.frame import Padding, Resizing
from ops.generators.mae.masking import count_kept, draw_kept, find_hidden
from ops.generators.mae.patches import cut, join, measure
from ops.generators.mae.transformer import embed_places


@pytest.mark.parametrize("shape", [(2, 1, 8, 12), (3, 3, 6, 6)])
def test_what_is_cut_is_joined_again(shape: tuple[int, int, int, int]) -> None:
    images = torch.rand(shape)
    patches = cut(images, 2)
    assert patches.shape == (shape[0], shape[2] * shape[3] // 4, 4 * shape[1])
    assert torch.equal(join(patches, 2, (shape[2] // 2, shape[3] // 2)), images)


def test_patches_go_row_by_row_with_channels_last() -> None:
    rows = torch.arange(4.0)[:, None].expand(4, 6)
    images = torch.stack([10 * rows + torch.arange(6.0), -rows])[None]
    second = cut(images, 2)[0, 1]  # rows 0 and 1, columns 2 and 3
    assert second.tolist() == [2, 0, 3, 0, 12, -1, 13, -1]


def test_mean_and_deviation_are_of_all_numbers_of_a_patch() -> None:
    patches = torch.rand(2, 3, 8)
    mean, deviation = measure(patches)
    assert np.allclose(mean[..., 0], patches.numpy().mean(axis=2), atol=1e-6)
    assert np.allclose(deviation[..., 0] ** 2 - 1e-6, patches.numpy().var(axis=2, ddof=1), atol=1e-6)
    flat = measure(torch.ones(1, 1, 4))[1]
    assert float(flat) == pytest.approx(1e-3), "a flat patch does not divide by zero"


@pytest.mark.parametrize(("share", "kept"), [(0.0, 15), (0.25, 12), (0.75, 4), (0.99, 1)])
def test_each_step_hides_its_share_of_every_image_and_each_patch_equally_often(share: float, kept: int) -> None:
    assert count_kept(share, 16) == kept
    chosen = draw_kept(np.random.default_rng(0), 4000, 16, kept)
    assert chosen.shape == (4000, kept) and (chosen.diff(dim=1) > 0).all(), "no patch is kept twice"
    often = np.bincount(chosen.flatten(), minlength=16) / 4000
    assert np.abs(often - kept / 16).max() < 5 * math.sqrt(0.25 / 4000)


def test_a_variant_hides_exactly_its_own_share_the_lowest_scores() -> None:
    scores = torch.randn(5, 20)
    share = torch.tensor([0.0, 0.049, 0.05, 0.5, 0.99])
    hidden = find_hidden(scores, share)
    assert hidden.sum(dim=1).tolist() == [0, 0, 1, 10, 19]
    assert scores[3][hidden[3]].max() < scores[3][~hidden[3]].min()


def test_numbers_taken_from_noise_are_normal_uniform_and_independent() -> None:
    chance = take_chance(torch.randn(6000, 1, 16, 16), 8, 24)  # 33 numbers of 256: none is used twice
    numbers = torch.cat([chance.scores, chance.shift], dim=1).double()
    assert (numbers.T @ numbers / 6000 - torch.eye(32)).abs().max() < 5.5 / math.sqrt(6000)
    assert (numbers**4).mean() == pytest.approx(3, abs=0.1)
    for q in (0.1, 0.5, 0.9):
        assert (chance.share < q).double().mean() == pytest.approx(q, abs=5 * math.sqrt(0.25 / 6000))
    index, signs = make_table(256, 33)
    assert len(set(index.flatten())) == 4 * 33 and set(signs.flatten()) == {-1.0, 1.0}


def test_noise_of_few_pixels_gives_many_numbers_that_are_still_normal_and_different() -> None:
    index, _ = make_table(64, 300)
    assert index.shape == (TERMS, 300) and index.min() >= 0 and index.max() == 63
    assert all((index[i] != index[j]).all() for i, j in combinations(range(TERMS), 2)), "four different ones each"
    chance = take_chance(torch.randn(6000, 1, 8, 8), 9, 290)
    assert (chance.shift.square().mean(dim=0) - 1).abs().max() < 0.15
    apart = (chance.shift.T @ chance.shift / 6000 - torch.eye(290)).abs()
    assert apart.max() < 0.9 and apart.mean() < 0.1


def test_an_embedding_tells_places_apart_and_is_that_of_the_column_first() -> None:
    places = embed_places((2, 3), 8)[0]
    assert places.shape == (7, 8) and not places[0].any() and len(places[1:].unique(dim=0)) == 6
    assert torch.equal(places[1, :4], places[4, :4]), "the same column"
    assert torch.equal(places[4, 4:], places[6, 4:]), "the same row"
    assert places[3, 0] == pytest.approx(math.sin(2)) and places[4, 6] == pytest.approx(math.cos(1))


def test_padding_repeats_the_edge_and_is_cut_off_again() -> None:
    frame, x = Padding((1, 6, 7), (8, 8)), torch.rand(2, 1, 6, 7)
    large = frame.enter(x)
    assert large.shape == (2, 1, 8, 8) and torch.equal(large[..., 6:, :], large[..., 5:6, :].expand(-1, -1, 2, -1))
    assert torch.equal(frame.leave(large), x)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_is_that_of_torch_in_the_network_s_scale_and_back(mode: str, channels: int) -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    frame = Resizing((channels, 6, 6), (15, 15), mode=mode, mean=mean, std=std)
    levels = torch.rand(2, channels, 6, 6)
    large = F.interpolate(levels, (15, 15), mode=mode, align_corners=False, antialias=True).clamp(0, 1)
    scale = [torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std)]
    seen = frame.enter(levels * 2 - 1)
    torch.testing.assert_close(seen, (large.expand(-1, 3, -1, -1) - scale[0]) / scale[1], atol=1e-5, rtol=0)
    colours = torch.rand(2, 3, 15, 15)
    small = F.interpolate(colours, (6, 6), mode=mode, align_corners=False, antialias=True)
    if channels == 1:
        small = (small * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    back = frame.leave((colours - scale[0]) / scale[1])
    torch.testing.assert_close(back, small * 2 - 1, atol=1e-5, rtol=0)
