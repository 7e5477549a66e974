"""The losses of critics and makers against their formulas written out, and what the batches of a step are."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.adversarial.pair import frozen
from ops.generators.munit.game import Batch, CriticsTerms, Game, MakersTerms
from ops.generators.munit.network import Munit, build_munit, describe_munit
from ops.machine.parallel import start_threads, use_threads
from ops.recipe.munit import MunitSettings

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with use_threads(2), start_threads() as found:
        yield found


def make_toys() -> tuple[Tensor, Tensor]:
    """Three classes of 6, 3 and 1 random images."""
    images = torch.randint(0, 256, (10, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return images, torch.tensor([0] * 6 + [1] * 3 + [2])


def make_game(pool: ThreadPoolExecutor, **changes: Any) -> Game:
    settings = MunitSettings(**{"width": 8, "blocks": 1, "batch_size": 6, **changes})
    torch.manual_seed(0)
    channels, height, width = SHAPE
    config = {"channels": channels, "height": height, "width": width, **describe_munit(settings)}
    munit = build_munit(config, spectral_norm=settings.spectral_norm)
    return Game(munit, settings, *make_toys(), seed=3, pool=pool, precision="fp32")


def take(game: Game, step: int) -> Batch:
    game.find_makers_loss(step)
    assert game.batches.now is not None and game.batches.now.step == step
    return game.batches.now


def distance(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().mean()


@pytest.mark.parametrize("adversary", ["lsgan", "hinge"])
@pytest.mark.parametrize("cycle", [0.0, 2.0])
def test_with_one_branch_the_losses_are_those_of_the_formulas(
    adversary: str, cycle: float, pool: ThreadPoolExecutor
) -> None:
    game = make_game(pool, adversary=adversary, cycle=cycle, content=3.0, consistency=4.0)
    critics_loss = game.find_critics_loss(0)
    batch = take(game, 0)
    maker, (critic,) = game.munit.makers[0], game.munit.critics
    x_1, x_2 = batch.images[:, 0], batch.real[:, 0]

    s = batch.styles[0][:, 0]
    fake, true = critic(maker.decode(maker.encode(x_1), s)), critic(x_2)
    lsgan = fake.square().mean() + (true - 1).square().mean()
    expected = F.relu(1 + fake).mean() + F.relu(1 - true).mean() if adversary == "hinge" else lsgan
    torch.testing.assert_close(critics_loss, expected, rtol=1e-4, atol=1e-5)

    c, own, s = maker.encode(x_1), maker.style_of(x_1), batch.styles[1][:, 0]
    made = maker.decode(c, s)
    fooled = -critic(made).mean() if adversary == "hinge" else (critic(made) - 1).square().mean()
    expected = (
        fooled
        + 40 * distance(maker.decode(c, own), x_1)
        + 3 * distance(maker.encode(made), c)
        + 4 * distance(maker.style_of(made), s)
        + cycle * distance(maker.decode(maker.encode(made), own), x_1)
    )
    torch.testing.assert_close(game.find_makers_loss(0), expected, rtol=1e-4, atol=1e-4)


def test_with_two_branches_each_decodes_the_content_of_the_other(pool: ThreadPoolExecutor) -> None:
    game = make_game(pool, branches=2, cycle=1.0)
    critics_loss = game.find_critics_loss(0)
    batch = take(game, 0)
    a, b, (critic_a, critic_b) = game.munit.makers[0], game.munit.makers[1], game.munit.critics
    (x_a, x_b), (s_a, s_b) = batch.images.unbind(1), batch.styles[0].unbind(1)
    assert torch.equal(batch.images, batch.real) and not torch.equal(x_a, x_b)

    x_ba, x_ab = a.decode(b.encode(x_b), s_a), b.decode(a.encode(x_a), s_b)
    expected = sum(
        critic(fake).square().mean() + (critic(true) - 1).square().mean()
        for critic, fake, true in ((critic_a, x_ba, x_a), (critic_b, x_ab, x_b))
    )
    torch.testing.assert_close(critics_loss, expected, rtol=1e-4, atol=1e-5)

    s_a, s_b = batch.styles[1].unbind(1)
    c_a, c_b, own_a, own_b = a.encode(x_a), b.encode(x_b), a.style_of(x_a), b.style_of(x_b)
    x_ba, x_ab = a.decode(c_b, s_a), b.decode(c_a, s_b)
    expected = (critic_a(x_ba) - 1).square().mean() + (critic_b(x_ab) - 1).square().mean()
    expected += 40 * (distance(a.decode(c_a, own_a), x_a) + distance(b.decode(c_b, own_b), x_b))
    expected += distance(a.encode(x_ba), c_b) + distance(b.encode(x_ab), c_a)
    expected += distance(a.style_of(x_ba), s_a) + distance(b.style_of(x_ab), s_b)
    expected += distance(a.decode(b.encode(x_ab), own_a), x_a) + distance(b.decode(a.encode(x_ba), own_b), x_b)
    torch.testing.assert_close(game.find_makers_loss(0), expected, rtol=1e-4, atol=1e-4)


class Writer(nn.Module):
    """A maker that writes the style into the image's first pixels, from where it is found again."""

    def __init__(self, *, swapped: bool = False) -> None:
        super().__init__()
        self.swapped = swapped

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, 8:]

    def style_of(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :8]

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        written = style.roll(1, 0) if self.swapped else style
        return torch.cat([written, content], dim=1).view(len(content), *SHAPE)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_style_is_compared_with_the_draw_of_its_own_row(swapped: bool, pool: ThreadPoolExecutor) -> None:
    game = make_game(pool, cycle=1.0)
    batch = take(game, 0)
    munit = Munit(nn.ModuleList([Writer(swapped=swapped)]), list(game.munit.critics))
    _, again, content, style, cycle = MakersTerms(munit, game.settings)(
        batch.images, batch.styles[1], batch.moves[2]
    ).T  # fmt: skip
    assert not content.any()
    for term in (again, style, cycle):
        assert bool(term.any()) == swapped


def test_each_loss_has_gradients_for_its_own_networks_alone(pool: ThreadPoolExecutor) -> None:
    game = make_game(pool)
    for find_loss, own, other in (
        (game.find_critics_loss, game.munit.critics, game.munit.makers),
        (game.find_makers_loss, game.munit.makers, game.munit.critics),
    ):
        game.munit.zero_grad()
        find_loss(0).backward()
        assert all(parameter.grad is not None for parameter in own.parameters())
        assert all(parameter.grad is None for parameter in other.parameters())
        assert all(parameter.requires_grad for parameter in game.munit.parameters())


def test_critics_are_not_frozen_after_an_error(pool: ThreadPoolExecutor) -> None:
    critics = make_game(pool).munit.critics
    with pytest.raises(RuntimeError), frozen(critics):
        assert not any(parameter.requires_grad for parameter in critics.parameters())
        raise RuntimeError
    assert all(parameter.requires_grad for parameter in critics.parameters())


def test_no_bit_of_a_loss_or_a_gradient_depends_on_the_number_of_threads() -> None:
    found = []
    for threads in (1, 2):
        with use_threads(threads), start_threads() as own:
            game = make_game(own, augment=0.5)
            losses = [game.find_critics_loss(0), game.find_makers_loss(0)]
            for loss in losses:
                loss.backward()
            gradients = [p.grad for p in game.munit.parameters() if p.grad is not None]
            found.append([loss.detach() for loss in losses] + gradients)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_steps_batches_follow_from_seed_and_step_and_what_was_drawn_ahead_is_used(pool: ThreadPoolExecutor) -> None:
    one, other = make_game(pool, flip=0.5, augment=0.5), make_game(pool, flip=0.5, augment=0.5)
    other.prepare(7)
    ahead, batches = other.batches.next, [take(one, 7), take(other, 7)]
    assert batches[1] is ahead and take(one, 7) is batches[0]
    for name in ("images", "real", "styles", "moves"):
        assert torch.equal(*(getattr(batch, name) for batch in batches)), name
    later = take(one, 8)
    assert not torch.equal(later.images, batches[0].images) and not torch.equal(later.styles, batches[0].styles)
    assert not torch.equal(later.styles[0], later.styles[1])  # the makers' are drawn anew


def test_batches_have_all_classes_equally_often_and_none_is_told(pool: ThreadPoolExecutor) -> None:
    game, (images, labels) = make_game(pool), make_toys()
    known = {tuple(image.flatten().tolist()): int(label) for image, label in zip(images, labels, strict=True)}
    for step in range(4):
        batch = take(game, step)
        for part in (batch.images, batch.real):
            levels = ((part[:, 0] + 1) * 127.5).round().int().flatten(1).tolist()
            assert np.bincount([known[tuple(image)] for image in levels]).tolist() == [2, 2, 2]


@pytest.mark.parametrize("flip", [0.0, 0.3])
def test_so_many_images_are_mirrored_as_the_settings_say(flip: float, pool: ThreadPoolExecutor) -> None:
    game = make_game(pool, flip=flip, batch_size=200)
    originals = {tuple(image.flatten().tolist()) for image in make_toys()[0]}
    batch = take(game, 0)
    levels = ((torch.cat([batch.images, batch.real])[:, 0] + 1) * 127.5).round().int().flatten(1).tolist()
    mirrored = np.mean([tuple(image) not in originals for image in levels])
    assert abs(mirrored - flip) < 0.08 and (mirrored > 0) == (flip > 0)


def test_the_critics_images_are_moved_and_what_is_learnt_again_is_not(pool: ThreadPoolExecutor) -> None:
    still, moved = take(make_game(pool), 0), take(make_game(pool, augment=0.5), 0)
    assert not still.moves.any()
    assert torch.equal(still.images, moved.images) and torch.equal(still.styles, moved.styles)
    assert not moved.moves[..., 0].any()  # nothing is mirrored
    assert all(part.any() for part in moved.moves)
    game = make_game(pool, augment=0.5)
    terms = CriticsTerms(game.munit.critics, game.settings)
    pictures = moved.images
    unmoved = terms(pictures, pictures, torch.zeros_like(moved.moves[0]), torch.zeros_like(moved.moves[0]))
    changed = terms(pictures, pictures, *moved.moves[:2]) != unmoved
    assert torch.equal(changed, (moved.moves[:2] != 0).any(dim=3).any(dim=0)[:, 0])
