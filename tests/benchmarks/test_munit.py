"""The benchmark of `kind: munit`: the published side by hand and against ours, sides that work, parts that are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import munit
from benchmarks.munit import Found, count_parameters, describe_usable, measure_steps, measure_variants, run, write
from benchmarks.parts import fashion, harness
from benchmarks.parts.harness import Row
from benchmarks.parts.munit_sides import CODED, EAGER, EAGER_BF16, ONNX, Engine, build_ours, make_feeds, make_untrained
from benchmarks.parts.munit_sides import open_engines as open_all
from benchmarks.parts.published_munit import Autoencoder, LayerNorm, PublishedMunit, train_published
from benchmarks.parts.stepping import Steps
from benchmarks.parts.usable_munit import GENERATOR, LAST, SCORER, Moment, Stopwatch, Usable, list_moments
from benchmarks.parts.usable_munit import train_until_usable as train_chain
from benchmarks.sources.drawn import Drawn, Labelled
from ops.errors import UserError
from ops.files.storage import read_json
from ops.generators.munit.game import Game
from ops.generators.munit.network import Maker
from ops.generators.protocol import Sample
from ops.machine.parallel import start_threads, use_threads
from ops.recipe.munit import MunitSettings
from ops.training.state import Observation

TINY = MunitSettings(width=8, blocks=1, batch_size=2)
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
        parts = [[model.a.down, model.a.encoding], [model.a.style_layers, model.a.to_style], [model.a.mlp]]
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
    model.a, model.b = Toy(2.0), Toy(3.0)  # type: ignore[assignment]
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
    batch = game.now
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

    model.find_critics_loss = watch  # type: ignore[method-assign]
    model.find_makers_loss = lambda *given, find=model.find_makers_loss: find(*(x[:2] for x in given))  # type: ignore
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    train_published(model, images, labels, batch_size=400)()
    for name, value in model.named_parameters():
        moved = (value.detach() - before[name]).abs()
        # Adam's first step is the rate, whatever the gradient; a place that no image reaches has none.
        assert 0.9e-4 < float(moved.max()) < 1.1e-4, name
    bright = [float((x.mean(dim=(1, 2, 3)) > 0).float().mean()) for x in seen]
    assert len(bright) == 2 and not torch.equal(*seen)
    assert all(abs(share - 0.5) < 4 * 0.5 / math.sqrt(400) for share in bright)


def test_a_training_ends_where_it_is_even_before_its_first_step() -> None:
    taken: list[int] = []

    def train(on_step: Callable[[int, float], None]) -> None:
        for step in range(1, 10):
            taken.append(step)
            on_step(step, 0.0)

    for count in (0, 2):
        taken.clear()
        steps = Steps(train)
        for _ in range(count):
            steps.take()
        steps.end()
        assert taken == list(range(1, count + 1)) and not steps.thread.is_alive() and steps.fault is None


def test_every_side_takes_its_steps_and_an_image_s_ratio_follows_from_the_step_s() -> None:
    found = measure_steps([TINY], shape=SMALL, rounds=1)
    assert all(row.value is not None and row.value > 0 for row in found.rows)
    assert found.ratios and all(ratio > 0 for ratio in found.ratios.values())
    for name, ratio in found.ratios.items():
        if name.startswith("munit_step_vs_published"):
            halves = 2.0 if "1 branch" in name else 1.0  # it varies half as many images in a step
            assert found.ratios[name.replace("step", "image")] == pytest.approx(ratio / halves)
    assert {"1 branch, fp32", "2 branches, fp32"} <= {name.partition("ours, ")[2] for name in found.ratios}
    assert found.notes["batch_size"] == 2


def test_the_sides_have_equal_sizes_at_the_benchmark_s_images() -> None:
    for settings in munit.SIZES:
        counts = count_parameters(settings, munit.SHAPE)
        assert counts["published"] == counts["ours, 2 branches"] == 2 * counts["ours, 1 branch"]
    assert [settings.width for settings in munit.SIZES] == [32, 64]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Engine]:
    torch.manual_seed(0)
    return open_all(make_untrained(TINY, SMALL), tmp_path_factory.mktemp("engines"))


def test_all_engines_draw_the_same_variants(engines: dict[str, Engine]) -> None:
    feeds = make_feeds(SMALL, 3, 4)
    assert [np.array_equal(feeds["image"][0], image) for image in feeds["image"]] == [True] * 4 + [False] * 8
    drawn = {name: engine(feeds).astype(int) for name, engine in engines.items()}
    assert drawn[EAGER].shape == (12, 16, 16, 1) and drawn[EAGER].std() > 5
    for name in (ONNX, CODED):
        assert np.abs(drawn[name] - drawn[EAGER]).max() <= 1, name
    if EAGER_BF16 in drawn:
        assert np.abs(drawn[EAGER_BF16] - drawn[EAGER]).mean() < 2


def test_variants_have_rates_and_ratios(engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def note(engine: Engine) -> Engine:
        def draw(feeds: Any) -> np.ndarray:
            drawn.append(len(np.unique(feeds["image"], axis=0)))
            return engine(feeds)

        return draw

    noted = {name: note(engine) for name, engine in engines.items()}
    monkeypatch.setattr(munit, "open_engines", lambda generator, folder: noted)
    found = measure_variants(TINY, shape=SMALL, seeds=2, each=3, rounds=1)
    assert len(found.rows) == len(engines) + 1
    assert all(row.value is not None and row.value > 0 for row in found.rows)
    assert found.ratios and all(ratio > 0 for ratio in found.ratios.values())
    assert drawn == 2 * ([2] * len(engines) + [6])  # of the last side every variant has a seed image of its own


def make_usable(*passed: bool) -> Usable:
    moments = [Moment(10 * (i + 1), 0.5 * (i + 1), found, 3.0 * i, None) for i, found in enumerate(passed)]
    return Usable(tuple(moments), 30, {SCORER: 60.0, GENERATOR: 120.0, LAST: 30.0}, 2, 4, "a sentence")


def test_the_first_checkpoint_that_passes_counts() -> None:
    found = describe_usable(make_usable(False, True, False))
    values = {row.name: (row.value, row.unit) for row in found.rows}
    assert values["usable: training until a checkpoint passes"][0] == 1.0
    assert values["usable: steps until then"] == (20, "of 30")
    assert values["usable: the whole training"][0] == 2.0
    assert values["usable: classes that get variants of the exported generator"] == (2, "of 4")
    assert found.ratios == {"munit_minutes_until_usable": 1.0}
    assert [moment["passed"] for moment in found.notes["moments"]] == [False, True, False]


def test_that_no_checkpoint_passes_is_said() -> None:
    found = describe_usable(make_usable(False, False))
    assert {(row.value, row.unit) for row in found.rows[:2]} == {
        (None, "no checkpoint of 2 passes the gate within 30 steps")
    }
    assert not found.ratios


def test_moments_have_the_time_of_the_answer_and_the_figures_of_the_curve() -> None:
    seconds = iter([100.0, 160.0])

    class Watch:
        def observe(self, step: int, sample: Sample) -> Observation:
            return Observation(usable=step == 8)

    watch = Stopwatch(Watch(), clock=lambda: next(seconds))
    assert [watch.observe(step, lambda feeds: torch.zeros(1)).usable for step in (4, 8)] == [False, True]
    curve = [{"step": 4, "moved": 1.0, "kept": 0.95}, {"step": 8, "moved": 6.0, "kept": None}]
    assert list_moments(watch.noted, curve, 40.0) == [Moment(4, 1.0, False, 1.0, 0.95), Moment(8, 2.0, True, 6.0, None)]
    with pytest.raises(ValueError, match="no variants were judged at step 8"):
        list_moments(watch.noted, curve[:1], 40.0)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (harness, munit):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    return tmp_path


def test_a_part_replaces_its_own_results_and_keeps_the_others(results: Path) -> None:
    write("usable", Found([Row("usable: x", None, "none")], {}))
    write("steps", Found([Row("steps: x", 1.0, "ms")], {"step": 2.0}, {"rounds": 1}))
    found = read_json(write("steps", Found([Row("steps: x", 3.0, "ms")], {"step": 4.0}, {"rounds": 2})))
    assert [(row["name"], row["value"]) for row in found["rows"]] == [
        ("steps: x", 3.0),
        ("usable: x", None),
        ("on a GPU", None),
    ]
    assert found["ratios"] == {"step": 4.0}
    assert found["parts"]["steps"]["rounds"] == 2 and list(found["parts"]) == ["steps", "usable"]


def test_a_run_measures_the_parts_that_are_named(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(munit, "measure_variants", lambda: Found([Row("variants: x", 1.0, "images/s")], {}))
    monkeypatch.setattr(munit, "measure_steps", lambda: pytest.fail("it was not asked for"))
    assert list(read_json(run(["variants"]))["parts"]) == ["variants"]


def test_mistakes_are_found_before_anything_is_measured(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(munit, "measure_steps", lambda: pytest.fail("measured"))
    with pytest.raises(UserError, match="there is no part 'step'; did you mean 'steps'?"):
        run(["steps", "step"])
    monkeypatch.setenv(fashion.VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match="dataset-fashion-mnist"):
        run()


@pytest.mark.slow
def test_the_chain_s_stages_tell_when_the_gate_was_passed(tmp_path: Path) -> None:
    """Classes are a bright left or right half, on a background of noise. After few steps nothing is promised but what
    was stored."""
    rng = np.random.default_rng(0)

    def draw(count: int) -> Labelled:
        labels = np.arange(count) % 2
        images = rng.integers(0, 60, (count, 16, 16, 1), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[:, 8 * label : 8 * label + 8] += 180
        return Labelled(images, labels)

    drawn = Drawn(("left", "right"), {"train": draw(48), "validation": draw(24), "test": draw(8)})
    recipe = {
        "scorer": {"folds": 2, "steps": 40, "batch_size": 16, "width": 8},
        "generator": {
            "kind": "munit", "width": 8, "blocks": 1, "steps": 8, "batch_size": 4, "warmup_steps": 2, "ema_decay": 0.5,
            "checkpoints": 2, "max_copies": 1.0,
        },
        "sampler": {"usable_from": None, "moves": 0.0, "keeps": None},
    }  # fmt: skip
    lines: list[str] = []
    found = train_chain(drawn, recipe, tmp_path, lines.append)
    assert [moment.step for moment in found.moments] == [4, 8] and found.steps == 8
    minutes = [moment.minutes for moment in found.moments]
    assert 0 < minutes[0] < minutes[1] < found.stages[GENERATOR] / 60 + 1e-3
    refused = [line for line in lines if "this checkpoint is not kept" in line]
    assert len(refused) == sum(not moment.passed for moment in found.moments)
    for moment in found.moments:  # the limits of a checkpoint are the defaults
        kept = moment.kept is None or moment.kept >= 0.9
        assert moment.passed == (moment.moved >= 2.0 and kept)
    assert (found.used, found.classes) == (2, 2) and "the variants of 2 classes are used" in found.sentence
    assert {row.name: row.value for row in describe_usable(found).rows}["usable: the scorer"] is not None
