"""Training on 32 digits: resumed runs, cores, every option, what it learns, and that its critic's images adapt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.datasets.axes import to_nchw
from ops.files.storage import read_json
from ops.generators.adversarial.drawing import Drawing
from ops.generators.adversarial.fitting import fit_adversarial
from ops.generators.adversarial.game import REAL
from ops.generators.adversarial.given import Given
from ops.generators.adversarial.learning import learn_in_turns
from ops.generators.folder import WEIGHTS
from ops.generators.protocol import Fitting, Sample
from ops.generators.stored_network import load_network
from ops.generators.stylegan2.critic import append_deviation
from ops.generators.stylegan2.design import StyleGan2
from ops.generators.stylegan2.game import StyleGame, StylePair
from ops.generators.stylegan2.losses import find_steepness
from ops.machine.parallel import start_threads, use_threads
from ops.recipe.stylegan2 import EVERY, StyleGan2Settings
from ops.training.checkpoint import Checkpoints
from ops.training.state import Observation
from tests.workspaces import digit_splits

STEPS = 6
SMALL: dict[str, Any] = {
    "width": 8, "latent": 8, "steps": STEPS, "batch_size": 8, "ema_decay": 0.9, "precision": "fp32",
    "augment_images": 40,
}  # fmt: skip
PLAIN: dict[str, Any] = {
    "augment_target": None,
    "augment_images": StyleGan2Settings.model_fields["augment_images"].default,
}


class Killed(Exception):
    """Stands for a process that ends in the middle."""


def take_digits() -> tuple[Tensor, Tensor]:
    train = digit_splits()["train"]
    return torch.from_numpy(to_nchw(train.images))[:32], torch.from_numpy(train.labels.copy())[:32]


def make_pair(settings: StyleGan2Settings, seed: int = 0) -> StylePair:
    torch.manual_seed(seed)
    names = [str(name) for name in range(int(take_digits()[1].max()) + 1)]
    config = {"channels": 1, "height": 16, "width": 16, "class_names": names}
    pair = StyleGan2().build_pair({**config, **StyleGan2().describe(settings, (1, 16, 16))}, settings)
    assert isinstance(pair, StylePair)
    return pair


def run(
    folder: Path, *, seed: int = 0, stop: int = -1, threads: int = 1, p: float = 0.0, **changes: Any
) -> tuple[StylePair, list[float]]:
    """Train on `threads` threads from a p on, killed after `stop` steps; returns p after each step too."""
    settings = StyleGan2Settings(**{**SMALL, **changes})
    pair, seen = make_pair(settings, seed), []
    if pair.adaptation is not None:
        pair.adaptation.p.fill_(p)

    def on_step(step: int, loss: float) -> None:
        assert np.isfinite(loss)
        seen.append(0.0 if pair.adaptation is None else float(pair.adaptation.p))
        if step == stop:
            raise Killed

    with use_threads(threads), start_threads() as pool:
        game = StyleGame(pair, settings, Given(*take_digits(), 5, pool, settings.precision))
        learn_in_turns(game, Checkpoints(folder, 2), on_step=on_step)
    return pair, seen


def test_a_killed_and_resumed_training_on_two_cores_ends_with_the_bits_of_a_whole_one_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images are augmented before the kill and after it, and so are penalties: at every second step."""
    penalised: list[int] = []

    def count(*given: Any) -> Tensor:
        penalised.append(1)
        return find_steepness(*given)

    monkeypatch.setattr("ops.generators.stylegan2.game.EVERY", 2)
    monkeypatch.setattr("ops.generators.stylegan2.game.find_steepness", count)
    whole, seen = run(tmp_path / "whole", p=0.5, augment_images=400)
    with pytest.raises(Killed):
        run(tmp_path / "killed", p=0.5, augment_images=400, stop=5, threads=2)
    penalised.clear()
    resumed, after = run(tmp_path / "killed", augment_images=400, seed=1, threads=2)  # other initial weights, and p = 0
    assert after == seen[-len(after) :] and len(after) == 3, "p goes on where the checkpoint of step 3 left it"
    assert 0 < min(seen) <= max(seen) < 1 and seen[0] != seen[-1]
    assert len(penalised) == 2, "at step 4, for each of the two parts of the batch"
    for (name, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize(
    "changes",
    [
        {**PLAIN, "penalty": 0, "class_balanced": False, "ema_decay": 0.0},
        {"precision": "bf16", "p": 0.5, "latent": None, "layers": 1},
        {"critic_rate": 1e-3, "learning_rate": 2e-3, "warmup_steps": 1, "weight_decay": 0.1, "batch_size": 12},
    ],
    ids=str,
)
def test_every_option_trains(tmp_path: Path, changes: dict[str, Any]) -> None:
    pair, _ = run(tmp_path, steps=2, **changes)
    assert all(value.isfinite().all() for value in pair.state_dict().values())


def test_the_critic_has_a_penalty_at_every_sixteenth_step_and_p_follows_its_scores() -> None:
    settings = StyleGan2Settings(**{**SMALL, "augment_target": 0.0, "penalty": 3.0})
    pair: Any = make_pair(settings)
    with start_threads() as pool:
        game = StyleGame(pair, settings, Given(*take_digits(), 5, pool, "fp32"))
        batch = game.find_batch(EVERY)
        with_penalty = game.find_critic_loss(EVERY)
        scores = pair.critic(batch.real, batch.labels[REAL]).detach()
        assert pair.adaptation.signs.tolist() == [float(scores.sign().sum()), 8.0]
        halves = zip(batch.real.split(4), batch.labels[REAL].split(4), strict=True)  # each judged by itself
        steep = torch.cat([find_steepness(pair.critic, *half) for half in halves]).mean()
        game.weight = 0.0
        without = game.find_critic_loss(EVERY)
        torch.testing.assert_close(with_penalty - without, EVERY * 3.0 / 2 * steep, rtol=1e-3, atol=1e-3)
        with torch.no_grad():  # a critic that takes everything for real
            pair.critic.score.weight.zero_()
            pair.critic.score.bias.fill_(1.0)
            pair.critic.vectors.weight.fill_(1.0)
        for step in range(4):
            game.find_critic_loss(step)
        assert float(pair.adaptation.p) > 0
        batch = game.find_batch(1)
        seen = pair.augment(batch.real, batch.changes[REAL])
        assert (seen != batch.real).any()


@pytest.mark.slow
def test_of_two_classes_of_spread_levels_each_is_drawn_as_itself_and_spread(tmp_path: Path) -> None:
    """Flat images of 40 to 80 and of 170 to 210: a maker that repeats itself has no spread."""
    levels = torch.cat([torch.arange(40, 80), torch.arange(170, 210)]).to(torch.uint8)
    images, labels = levels[:, None, None, None].expand(-1, 1, 8, 8).contiguous(), torch.arange(80) // 40
    settings = StyleGan2Settings(**{**SMALL, "steps": 400, "batch_size": 16, "ema_decay": 0.98, **PLAIN})
    torch.manual_seed(0)
    config = {"channels": 1, "height": 8, "width": 8, "class_names": ["dark", "light"]}
    pair: Any = StyleGan2().build_pair({**config, **StyleGan2().describe(settings, (1, 8, 8))}, settings)
    with start_threads() as pool:
        learn_in_turns(StyleGame(pair, settings, Given(images, labels, 5, pool, "fp32")), Checkpoints(tmp_path, 1))
    noise = torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        drawn = Drawing(pair.maker)(noise, torch.arange(200) % 2).float().mean(dim=(1, 2, 3))
    for label, middle in enumerate((60, 190)):
        own = drawn[label::2]
        assert abs(float(own.mean()) - middle) < 15 and float((own - middle).abs().max()) < 50, own
        assert 3 < float(own.std()) < 25, own


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 28, 28), (3, 32, 32), (3, 64, 64)])
@pytest.mark.parametrize("size", [8, 12, 32, 44])
def test_no_cut_parts_a_group_so_that_no_image_stands_alone(shape: tuple[int, int, int], size: int) -> None:
    """A row without another one of its class in its part has no deviation, whatever the maker draws."""
    settings = StyleGan2Settings(**{**SMALL, "batch_size": size})
    images, labels = torch.randint(0, 256, (40, *shape), dtype=torch.uint8), torch.arange(40) % 10
    config = {"channels": shape[0], "height": shape[1], "width": shape[2], "class_names": list("abcdefghij")}
    pair: Any = StyleGan2().build_pair({**config, **StyleGan2().describe(settings, shape)}, settings)
    with start_threads() as pool:
        game = StyleGame(pair, settings, Given(images, labels, 5, pool, "fp32"))
        drawn = [labels[game.draw_rows(stream, 2)] for stream in range(3)]
    for own in drawn:
        for rows in game.cut(size):
            assert own[rows].bincount().ne(1).all(), (rows, own[rows])
            spread = append_deviation(torch.randn(len(own[rows]), 2, 2, 2), own[rows])[:, 2].amin()
            assert float(spread) > 0.05


@pytest.mark.parametrize("size", [8, 12, 32])
def test_images_stand_in_groups_of_one_class(size: int) -> None:
    settings = StyleGan2Settings(**{**SMALL, "batch_size": size})
    with start_threads() as pool:
        game = StyleGame(make_pair(settings), settings, Given(*take_digits(), 5, pool, "fp32"))
        batch = game.find_batch(3)
        for stream in range(3):
            rows = game.draw_rows(stream, 3)
            assert len(rows) == size and torch.equal(game.labels[rows], batch.labels[stream])
            for begin in range(0, size, 4):
                group = rows[begin : begin + 4]
                assert len(game.labels[group].unique()) == 1 and len(group.unique()) == len(group)
        torch.testing.assert_close(batch.real, game.images[game.draw_rows(REAL, 3)])
        assert not torch.equal(game.draw_rows(0, 4), game.draw_rows(0, 3))


def test_a_fitted_generator_lies_in_its_directory_without_its_critic(tmp_path: Path) -> None:
    images, labels = take_digits()
    names = tuple(str(name) for name in range(int(labels.max()) + 1))
    seen: list[tuple[int, Tensor]] = []

    class Eye:
        def observe(self, step: int, sample: Sample) -> Observation:
            seen.append((step, sample({"noise": torch.randn(3, 1, 16, 16), "label": torch.arange(3) % 2})))
            return Observation()

    settings = StyleGan2Settings(**{**SMALL, "steps": 4, "checkpoints": 2})
    fitting = Fitting(
        images, labels, names, 0, tmp_path, tmp_path / "out", tmp_path / "scratch", watch=lambda copies: Eye()
    )
    (tmp_path / "out").mkdir()
    metrics = fit_adversarial(StyleGan2(), settings, fitting)
    assert [step for step, _ in seen] == [2, 4]
    assert all(drawn.shape == (3, 16, 16, 1) and drawn.dtype == torch.uint8 for _, drawn in seen)
    maker, config = load_network(tmp_path / "out", StyleGan2().build_maker)
    assert (config["kind"], config["style"], config["base"]) == ("stylegan2", 8, 8)
    assert 0 <= metrics["augment_probability"] <= 4 * 8 / 40
    assert metrics["parameters"] == sum(p.numel() for p in maker.parameters())
    assert bool(maker.state_dict()["mapping.centres"].ne(0).any())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "losses.json", WEIGHTS]
    assert read_json(tmp_path / "out" / "losses.json")["every"] == 20
