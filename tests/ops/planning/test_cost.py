"""The arithmetic of a plan against closed forms, and guesses against torch's own count of products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.products import COUNTS, count_products
from ops.generators.denoising import guessing
from ops.generators.denoising.network import build_network, describe_network
from ops.generators.registry import KINDS
from ops.labelling.probes import PROBES
from ops.planning.cost import (
    EXAMINED,
    EXPORT_SECONDS,
    JUDGING_SECONDS,
    PROBING_SECONDS,
    SCORING_SECONDS,
    TRAINING_SECONDS,
    Images,
    estimate_seconds,
    schedule,
    train_for,
)
from ops.planning.fitting import scale_steps
from ops.planning.plan import plan_expansion
from ops.planning.speeds import Speeds, guess_speeds
from ops.planning.timing import measure_speeds
from ops.planning.work import Training, Work, count_work, make_unit, settle_expected
from ops.recipe.arms import NETWORKS, Arm, Mlp, Network, ResNet18, SmallResNet
from ops.recipe.changes import change_recipe
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.denoisers import FlowSettings
from ops.recipe.loading import load_recipe
from ops.recipe.schema import Recipe
from ops.recipe.sections import PlanSettings
from ops.tuning.factors import list_factors, list_networks
from ops.tuning.search import count_steps
from tests.workspaces import ROOT

DEMO = ROOT / "recipes" / "fashion-flow.yaml"
UNIT = make_unit(ClassifierSettings(batch_size=64), Arm())


def make_speeds(start: float = 0.0) -> Speeds:
    return Speeds({UNIT: 0.1}, 0.0, 0.0, 0.0, 0.0, 0.0, start)


def count(recipe: Recipe, counts: list[int]) -> Work:
    plan = plan_expansion(np.array(counts), tuple(f"c{i}" for i in range(len(counts))), PlanSettings())
    return count_work(recipe, plan, (28, 28, 1), 3, None)


def test_the_last_worker_decides() -> None:
    assert schedule([1, 1, 1], 2) == 2
    assert schedule([5, 1, 1, 1], 2) == 5
    assert schedule([], 3) == 0


def test_few_steps_are_not_divided_and_many_cost_a_start() -> None:
    few = ((Training(UNIT, 50),) * 4,)  # 12,800 images: less than a process is worth
    assert train_for(few, make_speeds(3.0), 2) == pytest.approx(4 * (5 + TRAINING_SECONDS))
    many = ((Training(UNIT, 500),) * 3,)
    assert train_for(many, make_speeds(3.0), 2) == pytest.approx(2 * (50 + TRAINING_SECONDS) + 3)


def test_equal_units_are_one_however_many_arms_have_them() -> None:
    work = count(load_recipe(DEMO), [100, 90])
    units = work.units
    assert len(units) == len(set(units))
    trainings = sum(len(phase) for phases in work.stages.values() for phase in phases)
    assert len(units) < 8 < trainings


def test_sampler_and_loss_make_an_arm_only_where_classes_differ() -> None:
    recipe = load_recipe(DEMO)
    even, uneven = (count(recipe, counts) for counts in ([50, 50], [50, 40]))
    lengths = [len(work.baselines[0]) for work in (even, uneven)]
    assert lengths[1] - lengths[0] == 2 * len(recipe.classifier.grid.list_settings(Arm(), is_expanded=False))


def test_the_steps_of_a_prior_are_counted_once_and_its_generator_costs_no_training() -> None:
    sections = {"prior": {"pool": "others", "steps": 500}, "generator": {"kind": "prior"}, "sampler": {"strength": 0.4}}
    recipe, _ = change_recipe(DEMO, sections)
    plan = plan_expansion(np.array([20, 20]), ("a", "b"), recipe.plan)
    for folds in (None, 5):
        judged = recipe.model_copy(update={"verdict": recipe.verdict.model_copy(update={"folds": folds})})
        work = count_work(judged, plan, (28, 28, 1), 3, None)
        speeds = Speeds(dict.fromkeys(work.units, 0.0), 0.0, 0.0, 0.2, 0.0, 7.0, 0.0)  # 7 s before its steps
        seconds = estimate_seconds(judged, work, plan, speeds, Images(100, 40), 2)
        assert seconds["prior"] == pytest.approx(107) and seconds["generator"] == 0
        rest = sum(value for stage, value in seconds.items() if stage not in ("prior", "folds"))
        assert folds is None or seconds["folds"] == pytest.approx(5 * rest)
    assert scale_steps(recipe, 2.0)["prior.steps"] == 1000 and "generator.steps" not in scale_steps(recipe, 2.0)


def test_a_pipeline_costs_the_images_that_it_preserves_and_those_of_the_gate() -> None:
    base = {"kind": "stable-diffusion", "model": "models/sd", "licence": "none", "mode": "image"}
    lora = {"steps": 100, "preservation": {"images": 10, "templates": ["one {class}"]}}
    found = {}
    for name, keys in (("plain", {}), ("kept", {"lora": lora})):
        recipe, _ = change_recipe(DEMO, {"generator": {**base, **keys}, "sampler": {"strength": 0.5}})
        plan = plan_expansion(np.array([20, 5]), ("a", "b"), recipe.plan)
        work = count_work(recipe, plan, (28, 28, 1), 3, None)
        speeds = Speeds(dict.fromkeys(work.units, 0.0), 0.0, 0.0, 0.0, 3.0, 0.0, 0.0)
        found[name] = estimate_seconds(recipe, work, plan, speeds, Images(100, 40), 2)
    kept = found["kept"]["generator"] - found["plain"]["generator"]
    assert kept == pytest.approx(2 * 10 * 3.0 / 0.5 / 2)  # 2 classes, all steps and not the half of them, 2 cores
    judged = found["plain"]["generator_onnx"] - EXPORT_SECONDS
    assert judged == pytest.approx((EXAMINED + 16 + 10) * 3.0 / 2)  # of the second class all images, two variants each


def test_imagined_images_cost_whole_blocks_and_so_does_the_gate() -> None:
    prior = {"prior": {"pool": "others", "kind": "latent"}, "generator": {"kind": "prior"}}
    found = {}
    for name, imagination in (("plain", None), ("guided", {"mode": "guided", "steps": 2, "group": 4})):
        recipe, _ = change_recipe(DEMO, {**prior, "sampler": {"strength": 0.4, "imagination": imagination}})
        recipe = recipe.model_copy(update={"plan": PlanSettings(ratio=3.0, overdraw=1.0)})
        plan = plan_expansion(np.array([20, 20]), ("a", "b"), recipe.plan)
        work = count_work(recipe, plan, (28, 28, 1), 3, None)
        speeds = Speeds(dict.fromkeys(work.units, 0.0), 0.0, 0.1, 0.0, 1.0, 0.0, 0.0, decoding=0.5)
        found[name] = estimate_seconds(recipe, work, plan, speeds, Images(100, 40), 2)
    variant = 1 + 0.1 + 3 * 2 * (0.5 + 0.1)  # with a backward pass for each of two steps
    plain, guided = (found[name]["generated_images"] for name in ("plain", "guided"))
    recipe, _ = change_recipe(DEMO, {**prior, "sampler": {"strength": "auto", "imagination": {"group": 4, "steps": 2}}})
    chosen = estimate_seconds(recipe, work, plan, speeds, Images(100, 40), 2)["generator_onnx"]
    judging = found["guided"]["generator_onnx"] - found["plain"]["generator_onnx"]
    assert chosen - found["guided"]["generator_onnx"] == pytest.approx(2 * judging)  # of strengths that are tried
    assert guided - plain == pytest.approx((40 * 4 * variant - 120) / 2)  # 3 variants of an image are a block of 4
    judged = found["guided"]["generator_onnx"] - found["plain"]["generator_onnx"]
    assert judged == pytest.approx(40 * 4 * variant / 2)


def test_a_pipeline_that_imagines_costs_few_judged_blocks_and_a_look_at_each_call() -> None:
    found = {}
    pipeline = {"kind": "unclip", "model": "models/one", "licence": "none"}
    for mode in ("prior", "guided"):
        sections = {"generator": pipeline, "sampler": {"imagination": {"mode": mode, "group": 2}}}
        recipe, _ = change_recipe(DEMO, sections)
        recipe = recipe.model_copy(update={"plan": PlanSettings(ratio=2.0, overdraw=1.0)})
        plan = plan_expansion(np.array([20, 5]), ("a", "b"), recipe.plan)
        work = count_work(recipe, plan, (28, 28, 1), 3, None)
        speeds = Speeds(dict.fromkeys(work.units, 0.0), 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, decoding=1.0)
        found[mode] = estimate_seconds(recipe, work, plan, speeds, Images(100, 40), 2)
    scored = 25 * 2 * SCORING_SECONDS
    drawn = {mode: seconds["generated_images"] * 2 - scored for mode, seconds in found.items()}
    assert drawn["prior"] == pytest.approx(25 * 2) and drawn["guided"] == pytest.approx(25 * 2 * (1 + 4))
    judged = {mode: 2 * (seconds["generator_onnx"] - EXPORT_SECONDS) - EXAMINED for mode, seconds in found.items()}
    # Of the second class all images; then three blocks besides, and a sheet of two classes in each way to the mode.
    assert judged["prior"] == pytest.approx(2 * (8 + 5 + 3 + 2 * 1))
    assert judged["guided"] == pytest.approx(2 * (1 + 4) * (8 + 5 + 3 + 2 * 3))


@pytest.mark.parametrize("kind", ["flow", "latent", "instance", "mae"])
def test_a_guess_for_a_prior_is_that_of_its_kind_but_for_the_steps(kind: str) -> None:
    prior = {"kind": kind, "pool": "others"}
    sections = {"prior": prior, "generator": {"kind": "prior"}, "sampler": {"strength": 0.4}}
    recipe, _ = change_recipe(DEMO, sections)
    assert recipe.prior is not None
    found, own = (
        KINDS[each.kind].guess(each, recipe.sampler, (1, 28, 28), Path(), 1e9, 2)
        for each in (recipe.generator, recipe.prior)
    )
    assert (found.step_seconds, found.image_seconds) == (own.step_seconds, own.image_seconds)
    steps = getattr(recipe.prior, "steps", 0) * own.step_seconds
    assert found.fit_seconds == pytest.approx(own.fit_seconds - steps) and (found.fit_seconds > 0) == (kind != "flow")


def test_a_search_is_counted_once_chosen_not() -> None:
    changes = {"tuning.policy": True, "baselines.augmented.augmentation": "auto"}
    recipe, _ = change_recipe(DEMO, changes)
    work = count(recipe, [100, 90])
    factors = list_factors(1, list_networks(28, recipe.classifier.network))
    steps = recipe.classifier.steps
    total = count_steps(factors, folds=3, steps=steps, first_length=steps, most_steps=steps)
    assert len(work.policy[0]) == round(total / steps) > 18
    assert count(load_recipe(DEMO), [100, 90]).policy == ()


NETWORKS_TRIED: list[Network] = [
    SmallResNet(),
    SmallResNet(width=16, stem=1),
    SmallResNet(width=16, stride=4),
    ResNet18(width=8),
    Mlp(widths=(64, 32)),
]


@pytest.mark.parametrize("shape", [(1, 9, 8), (3, 64, 64)])
@pytest.mark.parametrize("network", NETWORKS_TRIED, ids=lambda network: network.kind)
def test_products_of_classifiers_are_those_that_torch_counts(network: Network, shape: tuple[int, int, int]) -> None:
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        Classifier(network, shape, 4).eval()(torch.zeros(1, *shape))
    assert count_products(network, shape) == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_every_network_can_be_counted() -> None:
    assert set(COUNTS) == set(NETWORKS) == {network.kind for network in NETWORKS_TRIED}


@pytest.mark.parametrize(
    "settings", [FlowSettings(), FlowSettings(widths=(16, 24, 24), unshuffle=1, layers_per_block=2)]
)
def test_products_of_denoisers_are_those_that_torch_counts(settings: FlowSettings) -> None:
    shape = (3, 16, 16)
    network = build_network(
        {
            "kind": "flow",
            "channels": 3,
            "height": 16,
            "width": 16,
            "class_names": ["a", "b"],
            **describe_network(settings, 3),
        }
    )
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        network.eval()(torch.zeros(1, *shape), torch.zeros(1), torch.zeros(1, dtype=torch.long))
    assert guessing.count_products(settings, shape) == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_speeds_are_positive_and_a_line_tells_each_kind(tmp_path: Path) -> None:
    changes = {"tuning.policy": True, "generator.augment": 0.5, "generator.augmentation": "auto"}
    recipe = settle_expected(change_recipe(ROOT / "recipes" / "smoke.yaml", changes)[0], None)
    units = count(recipe, [20, 20]).units
    lines: list[str] = []
    measured = measure_speeds(recipe, units, (1, 8, 8), 2, tmp_path, 1, lines.append)
    guessed = guess_speeds(recipe, units, (1, 8, 8), tmp_path, 1)
    for speeds in (measured, guessed):
        assert set(speeds.units) == set(units) and min(speeds.units.values()) > 0
        assert min(speeds.answer, speeds.score, speeds.step, speeds.image) > 0
    assert lines[-1].startswith(f"timing: {len(units) + 2}/{len(units) + 2} kinds of steps")


@pytest.mark.slow
def test_two_processes_time_each_unit_together(tmp_path: Path) -> None:
    recipe = load_recipe(ROOT / "recipes" / "smoke.yaml")
    units = count(recipe, [20, 20]).units
    measured = measure_speeds(recipe, units, (1, 8, 8), 2, tmp_path, 2, lambda line: None)
    assert set(measured.units) == set(units) and measured.start > 0


def test_a_generator_that_learns_from_a_labelled_pool_costs_its_own_steps_the_priors_and_the_probing() -> None:
    pool = {"kind": "flow", "pool": "others", "steps": 50, "batch_size": 10, "widths": [8, 16]}
    given = {"prior": pool, "generator.pseudo_labels": {"noise": [0.1, 0.3]}, "generator.checkpoints": 1}
    recipe, _ = change_recipe(DEMO, given)
    work = count(recipe, [10, 10])
    speeds = Speeds(dict.fromkeys(work.units, 0.0), 0.0, 0.0, 0.2, 0.0, 7.0, 0.0, prior_step=0.3, prior_fixed=2.0)
    plan = plan_expansion(np.array([10, 10]), ("a", "b"), recipe.plan)
    seconds = estimate_seconds(recipe, work, plan, speeds, Images(40, 10, 500), 1)
    assert seconds["prior"] == pytest.approx(50 * 0.3 + 2)
    # 30 labelled images at two shares and once more, and the pool once, at a third of a training step's seconds; and
    # four probes for each of five blocks and two shares.
    probing = (30 * 3 + 500) * 0.3 / (3 * 10) + 2 * 5 * len(PROBES) * PROBING_SECONDS
    own = recipe.generator.steps * 0.2 + 7 + JUDGING_SECONDS  # type: ignore[attr-defined]
    assert seconds["generator"] == pytest.approx(own + probing)
    guessed = guess_speeds(recipe, work.units, (1, 28, 28), ROOT, 1)
    assert 0 < guessed.prior_step < guessed.step, "the prior's network is smaller, and so are its batches"
