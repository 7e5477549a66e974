"""What the study `gif` of this repository takes for granted about its own settings and arms."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.recipe.fingerprints import stage_settings
from ops.study.design import Study, load_study
from ops.workspaces.workspace import Workspace
from tests.studies import build, find_part

ROOT = Path(__file__).parents[3]
PRIORS = {"flow": "flow", "latent": "latent", "instance": "instance", "mae": "mae", "hundred": "flow"}
PRESETS = {"guided": "corrected", "guided+release": "release", "guided+paper": "paper"}


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(Workspace(ROOT), "gif")


@pytest.mark.parametrize("part", sorted(PRIORS))
def test_modes_and_presets_differ_in_nothing_but_the_imagination(study: Study, part: str) -> None:
    assert list(find_part(study, part).settings) == ["prior", "random", *PRESETS]
    recipes = {name: build(study, part, name) for name in find_part(study, part).settings}
    first = recipes["prior"]
    assert first.prior is not None and (first.prior.kind, first.generator.kind) == (PRIORS[part], "prior")
    for name, recipe in recipes.items():
        imagination = recipe.sampler.imagination
        assert imagination is not None
        assert (imagination.mode, imagination.preset) == (name.partition("+")[0], PRESETS.get(name, "corrected"))
        alike = recipe.sampler.model_copy(update={"imagination": first.sampler.imagination})
        assert recipe.model_copy(update={"sampler": alike}) == first
    perturbed = [recipe.sampler.imagination.granularity for name, recipe in recipes.items() if name != "prior"]
    assert len(set(perturbed)) == 1


def test_exactly_so_many_variants_are_made_and_none_is_rejected(study: Study) -> None:
    for name in ("flow", "latent", "instance", "mae", "hundred"):
        recipe = build(study, name, "guided")
        assert (recipe.plan.ratio, recipe.plan.overdraw, recipe.plan.rounds) == (20.0, 1.0, 1)
        assert not [rule for rule, cut in recipe.filter.model_dump().items() if cut is not None]
        assert (recipe.sampler.moves, recipe.sampler.keeps) == (None, None)
        ratios = [recipe.expanded[f"x{ratio}"] for ratio in (1, 5, 10, 20)]
        assert [arm.ratio for arm in ratios] == [1.0, 5.0, 10.0, 20.0]
        assert all(arm.model_copy(update={"ratio": 1.0}) == ratios[0] for arm in ratios)


def test_parts_with_a_prior_share_it_and_their_baselines(study: Study) -> None:
    flow, hundred = build(study, "flow", "guided"), build(study, "hundred", "guided")
    pools, networks = build(study, "pools", "all"), build(study, "networks", "mlp")
    for other in (hundred, pools, networks, build(study, "tail", "random")):
        assert stage_settings(other, "prior") == stage_settings(flow, "prior")
    unguided = build(study, "flow", "prior")
    for stage in ("real_images", "scorer", "generator_onnx"):
        assert stage_settings(networks, stage) == stage_settings(flow, stage)
        assert stage_settings(pools, stage) == stage_settings(unguided, stage)
    for name in ("latent", "instance", "mae", "pools", "smaller-pool"):
        part = find_part(study, name)
        common = set(part.baselines) & set(find_part(study, "flow").baselines)
        assert {"mixup"} <= common
        assert all(part.baselines[arm] == find_part(study, "flow").baselines[arm] for arm in common)
        assert (part.steps, part.seeds, part.images.seed) == ((1000,), (0, 1, 2, 3, 4), 0)


def test_the_goal_is_judged_against_every_baseline(study: Study) -> None:
    flow = find_part(study, "flow")
    goal = [claim for name, claim in flow.claims.items() if name != "over-random"]
    assert {claim.over for claim in goal} == set(flow.baselines) - {"original"}  # plain training is the weakest
    seeing = {"pseudo", "fixmatch"}
    assert all(claim.margin == (1 if claim.over in seeing else 5) for claim in goal)
    assert all((claim.arms, claim.settings) == (("x20",), ("guided",)) for claim in goal)


def test_filled_classes_are_equal_in_what_a_classifier_meets(study: Study) -> None:
    assert build(study, "tail", "guided").mix.real_weight == 1.0


def test_the_first_turn_is_the_part_that_asks_the_questions(study: Study) -> None:
    assert [name for name, part in study.design.parts.items() if part.turn == 1] == ["flow"]
    assert {build(study, "networks", name).classifier.network.kind for name in ("small_resnet", "resnet18", "mlp")} == {
        "small_resnet",
        "resnet18",
        "mlp",
    }
    sizes = {name: build(study, "pools", name).prior for name in ("all", "5000", "none")}
    assert [None if prior is None else prior.pool for prior in sizes.values()] == [  # type: ignore[attr-defined]
        "images-pool-all",
        "images-pool-5000",
        None,
    ]
