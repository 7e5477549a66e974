"""What the study `git` of this repository takes for granted about its own settings and arms."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.recipe.arms import Arm
from ops.recipe.counterparts import simplify
from ops.recipe.fingerprints import stage_settings
from ops.recipe.ingredients.variants import NoVariants
from ops.study.design import Study, load_study
from ops.workspaces.workspace import Workspace
from tests.studies import build, find_part

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(Workspace(ROOT), "git")


def test_an_arm_of_shares_differs_from_the_arms_that_it_lies_between_in_its_variants_alone(study: Study) -> None:
    recipe = build(study, "transfer", "background")
    assert len(find_part(study, "transfer").shares) == 8
    for name, way in find_part(study, "transfer").shares.items():
        arm, over, ceiling = recipe.expanded[name], recipe.baselines[way.over], recipe.baselines[way.ceiling]
        assert simplify(arm) == over
        assert ceiling.model_copy(update={"variants": NoVariants()}) == over
        assert ceiling.variants.model_dump()["by"] == ("oracle",)
        keys = ("start", "share", "draws")
        assert [getattr(ceiling.variants, key) for key in keys] == [getattr(arm.variants, key) for key in keys]


@pytest.mark.parametrize("nuisance", ["background", "strokes"])
def test_a_control_draws_with_the_generator_that_transfers(study: Study, nuisance: str) -> None:
    transfer, control = (build(study, "controls", name) for name in (nuisance, f"{nuisance}+reconstructed"))
    for stage in ("real_images", "scorer", "generator"):
        assert stage_settings(control, stage) == stage_settings(transfer, stage), "it is trained once"
    assert (transfer.sampler.strength, control.sampler.strength) == ("auto", 0.0)
    assert control.sampler.moves is None, "the gate would refuse what does not move"
    assert control.filter == transfer.filter
    noised = build(study, "controls", f"{nuisance}+noised")
    assert noised.generator.kind == "flow" and noised.plan == transfer.plan


def test_parts_share_what_they_have_in_common(study: Study) -> None:
    """Equal recipes and arms have equal fingerprints, so they are trained once."""
    transfer, controls, thresholds = (find_part(study, name) for name in ("transfer", "controls", "thresholds"))
    same: dict[str, dict[str, str]] = {"controls": {"drs": "drs", "drs+git": "drs+git"}}
    same["thresholds"] = {"drs": "drs", "k50": "drs+git+k", "all": "drs+git"}
    for name, part in (("controls", controls), ("thresholds", thresholds)):
        assert (part.images, part.set, part.steps, part.seeds) == (
            transfer.images,
            transfer.set,
            transfer.steps,
            transfer.seeds,
        )
        assert part.settings["background"] == transfer.settings["background"]
        for own, other in same[name].items():
            found = {**part.baselines, **part.expanded}[own]
            assert Arm.model_validate(found) == Arm.model_validate({**transfer.baselines, **transfer.expanded}[other])
            assert part.networks[own] == transfer.networks[other]
