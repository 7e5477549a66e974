"""How strongly the critic's images are augmented: p rises with a sure critic, falls with an unsure one."""

from __future__ import annotations

import pytest
import torch

from ops.generators.stylegan2.adaptation import EVERY, MOST, Adaptation, adapt


def watch(scores: list[float], steps: int, **settings: float) -> Adaptation:
    adaptation = Adaptation(settings.get("target", 0.6), int(settings.get("images", 100)))
    for step in range(steps):
        adaptation.observe(step, torch.tensor(scores))
    return adaptation


def test_p_rises_when_the_critic_is_sure_and_falls_when_it_is_not() -> None:
    sure = watch([2.0, 1.0, 3.0, 0.1, 5.0], 2 * EVERY)
    assert float(sure.p) == pytest.approx(2 * EVERY * 5 / 100)
    for step in range(EVERY):  # r = 0.2 is below 0.6
        sure.observe(step, torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0]))
    assert float(sure.p) == pytest.approx(EVERY * 5 / 100)


def test_p_changes_at_every_fourth_step_by_all_scores_since_the_last_change() -> None:
    adaptation = Adaptation(0.6, 100)
    for step, score in enumerate([1.0, 1.0, 1.0]):
        adaptation.observe(step, torch.full((5,), score))
        assert float(adaptation.p) == 0
    adaptation.observe(3, torch.full((5,), -1.0))  # r = (15 - 5) / 20 = 0.5
    assert float(adaptation.p) == 0 and adaptation.signs.tolist() == [0, 0]
    for step in range(4):
        adaptation.observe(step, torch.tensor([1.0] * 9 + [-1.0]))  # r = 0.8
    assert float(adaptation.p) == pytest.approx(0.4)


def test_p_stays_where_augmentations_do_not_leak() -> None:
    assert float(watch([1.0] * 10, 40).p) == MOST
    assert float(watch([-1.0] * 10, 40).p) == 0
    assert adapt(0.3, 0.6, target=0.6, share=0.1) == 0.3
    assert adapt(0.3, 0.7, target=0.6, share=0.1) == pytest.approx(0.4)
    assert adapt(0.05, 0.5, target=0.6, share=0.1) == 0.0


def test_a_checkpoint_holds_p_and_what_it_follows_from() -> None:
    whole = watch([1.0, 1.0, -1.0], 7)
    begun = watch([1.0, 1.0, -1.0], 6)
    resumed = Adaptation(0.6, 100)
    resumed.load_state_dict(begun.state_dict())
    resumed.observe(6, torch.tensor([1.0, 1.0, -1.0]))
    assert all(torch.equal(resumed.state_dict()[name], value) for name, value in whole.state_dict().items())
