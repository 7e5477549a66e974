"""The published MUNIT of the benchmark `munit`: counted, computed by hand, and against our own with two branches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.parts.munit_sides import build_ours
from benchmarks.parts.published_munit import Autoencoder, LayerNorm, PublishedMunit, train_published
from ops.generators.munit.game import Game
from ops.generators.munit.network import Maker
from ops.machine.parallel import start_threads, use_threads
from ops.recipe.munit import MunitSettings

SMALL = (1, 16, 16)


@pytest.mark.parametrize(("channels", "maker"), [(3, 15.03), (1, 15.01)])
def test_the_published_networks_have_the_published_numbers_of_parameters(channels: int, maker: float) -> None:
    model = PublishedMunit(channels)
    counts = [
        sum(parameter.numel() for parameter in part.parameters()) / 1e6
        for part in (model.a, model.b, model.critic_a, model.critic_b)
    ]
    assert [round(count, 2) for count in counts] == [maker, maker, 2.76, 2.76]
    if channels == 3:
        assert round(sum(counts), 1) == 35.6
        parts: list[list[nn.Module]] = [
            [model.a.down, model.a.encoding],
            [model.a.style_layers, model.a.to_style],
            [model.a.mlp],
        ]
        parts.append([model.a.decoding, model.a.up, model.a.norms, model.a.last])
        found = [sum(p.numel() for module in part for p in module.parameters()) for part in parts]
        assert found == [5_385_856, 2_764_936, 1_120_768, 5_754_627]  # of the layers' table, by hand


def test_content_and_scores_have_the_published_places() -> None:
    for side, places, scores in ((28, 7, 1), (32, 8, 2)):
        model, x = PublishedMunit(1, width=8, blocks=1), torch.zeros(2, 1, side, side)
        content = model.a.find_content(x)
        assert content.shape == (2, 32, places, places)
        assert model.a.decode(content, model.a.find_style(x)).shape == x.shape
        assert model.critic_a(x).shape == (2, 1, scores, scores)


def test_layer_norm_is_that_of_a_loop_with_the_unbiased_deviation() -> None:
    torch.manual_seed(0)
    norm, x = LayerNorm(4), 3 * torch.randn(3, 4, 2, 5) + 1
    with torch.no_grad():
        norm.shift.copy_(torch.randn(4))
    found = norm(x).detach().numpy()
    gain, shift = norm.gain.tolist(), norm.shift.tolist()
    for i, sample in enumerate(x.tolist()):
        numbers = [value for channel in sample for row in channel for value in row]
        mean = sum(numbers) / len(numbers)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in numbers) / (len(numbers) - 1))
        for c, channel in enumerate(sample):
            expected = [[(v - mean) / (deviation + 1e-5) * gain[c] + shift[c] for v in row] for row in channel]
            np.testing.assert_allclose(found[i, c], expected, rtol=1e-4, atol=1e-5)


class Toy(nn.Module):
    """Images of one pixel: its content is `k` times the pixel, its style half of that, and both are added up."""

    def __init__(self, k: float) -> None:
        super().__init__()
        self.k = nn.Parameter(torch.tensor(k))

    def find_content(self, x: Tensor) -> Tensor:
        return self.k * x

    def find_style(self, x: Tensor) -> Tensor:
        return self.k * x / 2

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        return content + style


def make_toy() -> PublishedMunit:
    model = PublishedMunit(1, width=8, blocks=1)
    model.a, model.b = Toy(2.0), Toy(3.0)
    model.critic_a, model.critic_b = nn.Sequential(nn.Identity()), nn.Sequential(nn.Tanh())
    return model


def test_the_published_losses_are_those_of_a_computation_by_hand() -> None:
    a, b, u, v = [0.5, -1.0], [0.25, 2.0], [1.0, -0.5], [0.0, 3.0]
    given = [torch.tensor(values)[:, None] for values in (a, b, u, v)]
    model = make_toy()

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    x_ba, x_ab = [3 * x + s for x, s in zip(b, u, strict=True)], [2 * x + s for x, s in zip(a, v, strict=True)]
    critics = mean([x**2 for x in x_ba]) + mean([(x - 1) ** 2 for x in a])
    critics += mean([math.tanh(x) ** 2 for x in x_ab]) + mean([(math.tanh(x) - 1) ** 2 for x in b])
    assert model.find_critics_loss(*given).item() == pytest.approx(critics, rel=1e-5)

    makers = mean([(x - 1) ** 2 for x in x_ba]) + mean([(math.tanh(x) - 1) ** 2 for x in x_ab])
    makers += 10 * mean([abs(2 * x + x - x) for x in a]) + 10 * mean([abs(3 * x + 1.5 * x - x) for x in b])
    makers += mean([abs(2 * y - 3 * x) for y, x in zip(x_ba, b, strict=True)])
    makers += mean([abs(3 * y - 2 * x) for y, x in zip(x_ab, a, strict=True)])
    makers += mean([abs(y - s) for y, s in zip(x_ba, u, strict=True)])
    makers += mean([abs(1.5 * y - s) for y, s in zip(x_ab, v, strict=True)])
    assert model.find_makers_loss(*given).item() == pytest.approx(makers, rel=1e-5)


def test_the_target_of_the_content_has_a_gradient_and_the_critics_fakes_have_none() -> None:
    """With b's decoder out of the way, only the target 3 · x of a's content loss depends on b's encoder."""
    model, (x_a, x_b, s_a, s_b) = make_toy(), torch.tensor([[[0.5]], [[0.25]], [[1.0]], [[0.0]]])
    assert not model.find_critics_loss(x_a, x_b, s_a, s_b).requires_grad
    (k,) = (model.b.k,)
    x_ba, c_b = model.a.decode(model.b.find_content(x_b), s_a), model.b.find_content(x_b)
    (through,) = torch.autograd.grad((model.a.find_content(x_ba) - c_b.detach()).abs().sum(), k)  # 2 · 0.25
    model.find_makers_loss(x_a, x_b, s_a, s_b).backward()
    # Adversary 2 (x_ba - 1) · 0.25; reconstruction 10 · 1.5 · 0.25; both contents; style of x_ba; b's of x_ab.
    x_ab = 2 * 0.5 + 0.0
    expected = 2 * (1.75 - 1) * 0.25 + 10 * 1.5 * 0.25 + (float(through) - 0.25) + x_ab + 0.25 + x_ab / 2
    assert k.grad is not None
    assert float(k.grad) == pytest.approx(expected, rel=1e-5)


def copy_weights(published: Autoencoder, ours: Maker) -> None:
    """Every layer of the one into that of the other."""
    pairs = [
        (published.down, ours.content), (published.encoding, ours.encoding), (published.style_layers, ours.places),
        (published.to_style, ours.own), (published.mlp, ours.affine), (published.decoding, ours.decoding),
        (published.up, ours.rising), (published.norms, ours.norms), (published.last, ours.last),
    ]  # fmt: skip
    with torch.no_grad():
        for one, other in pairs:
            for source, target in zip(one.parameters(), other.parameters(), strict=True):
                target.copy_(source.view(target.shape))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with use_threads(1), start_threads() as found:
        yield found


def test_ours_with_two_branches_computes_what_the_published_networks_do(pool: ThreadPoolExecutor) -> None:
    torch.manual_seed(0)
    settings = MunitSettings(
        width=8, blocks=1, batch_size=3, branches=2, halvings=2, spectral_norm=False, reconstruction=10
    )
    published, ours = PublishedMunit(1, width=8, blocks=1), build_ours(settings, (1, 28, 28))
    for autoencoder, branch in ((published.a, 0), (published.b, 1)):
        copy_weights(autoencoder, ours.makers[branch])
    with torch.no_grad():
        for critic, other in zip((published.critic_a, published.critic_b), ours.critics, strict=True):
            for source, target in zip(critic.parameters(), other.parameters(), strict=True):
                target.copy_(source)
    images = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8)
    game = Game(ours, settings, images, torch.arange(6) % 2, seed=0, pool=pool, precision="fp32")
    losses = game.find_critics_loss(0), game.find_makers_loss(0)
    batch = game.batches.now
    assert batch is not None
    for step, (loss, find_loss) in enumerate(
        zip(losses, (published.find_critics_loss, published.find_makers_loss), strict=True)
    ):
        expected = find_loss(*batch.images.unbind(1), *batch.styles[step].unbind(1))
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)


def test_a_published_step_moves_every_parameter_by_adam_and_draws_classes_equally_often() -> None:
    torch.manual_seed(0)
    images = torch.cat([torch.zeros(90, *SMALL), torch.full((10, *SMALL), 255)]).to(torch.uint8)
    labels, model = torch.tensor([0] * 90 + [1] * 10), PublishedMunit(1, width=8, blocks=1)
    seen, find_loss = list[Tensor](), model.find_critics_loss

    def watch(x_a: Tensor, x_b: Tensor, s_a: Tensor, s_b: Tensor) -> Tensor:
        seen.extend((x_a, x_b))
        return find_loss(x_a[:2], x_b[:2], s_a[:2], s_b[:2])

    model.find_critics_loss = watch
    model.find_makers_loss = lambda *given, find=model.find_makers_loss: find(*(x[:2] for x in given))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    train_published(model, images, labels, batch_size=400)()
    for name, value in model.named_parameters():
        moved = (value.detach() - before[name]).abs()
        # Adam's first step is the rate, whatever the gradient; a place that no image reaches has none.
        assert 0.9e-4 < float(moved.max()) < 1.1e-4, name
    bright = [float((x.mean(dim=(1, 2, 3)) > 0).float().mean()) for x in seen]
    assert len(bright) == 2 and not torch.equal(*seen)
    assert all(abs(share - 0.5) < 4 * 0.5 / math.sqrt(400) for share in bright)
