"""The recipe's keys of pipelines that learnt elsewhere: what is refused before anything is loaded."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ops.errors import UserError
from ops.recipe.diffusion import PipelineSettings, StableDiffusionSettings, UnclipSettings
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.sampler import SamplerSettings
from tests.workspaces import ROOT

DEMO = ROOT / "recipes" / "fashion-flow.yaml"

BASE: dict[str, Any] = {"model": "models/sd", "licence": "CreativeML-OpenRAIL-M"}
LORA: dict[str, Any] = {"lora": {"preservation": {"templates": ["a {class}"]}}}


def test_the_sampler_has_the_kinds_own_defaults_and_keeps_what_is_given() -> None:
    text, unclip = StableDiffusionSettings(**BASE), UnclipSettings(**BASE)
    found = [kind.resolve_sampler(SamplerSettings()) for kind in (text, unclip)]
    assert [(each.solver, each.steps, each.guidance) for each in found] == [("dpmpp", 25, 7.5), ("dpmpp", 25, 10.0)]
    given = text.resolve_sampler(SamplerSettings(solver="ddim", guidance=1.0))
    assert (given.steps, given.guidance) == (50, 1.0)


def test_the_mode_decides_what_it_draws_from() -> None:
    image = StableDiffusionSettings(**BASE, mode="image")
    assert StableDiffusionSettings(**BASE).list_inputs(SamplerSettings()) == ("noise", "label")
    assert image.list_inputs(SamplerSettings()) == ("noise", "label", "image")
    assert UnclipSettings(**BASE).list_inputs(SamplerSettings()) == ("noise", "image")


@pytest.mark.parametrize(
    ("settings", "sampler", "said"),
    [
        (StableDiffusionSettings(**BASE), {"strength": 0.5}, "no effect with mode: text"),
        (StableDiffusionSettings(**BASE, mode="image"), {}, "must be a number with mode: image"),
        (StableDiffusionSettings(**BASE, mode="image"), {"strength": "auto"}, "must be a number"),
        (StableDiffusionSettings(**BASE, mode="image"), {"strength": 0.03}, "none of 25 steps"),
        (UnclipSettings(**BASE), {"strength": 0.5}, "no effect with kind: unclip"),
        (StableDiffusionSettings(**BASE), {"guidance": 0.5}, "guidance must be 1, which means none, or more"),
        (UnclipSettings(**BASE), {"guidance": 0.0}, "guidance must be 1, which means none, or more"),
        (
            StableDiffusionSettings(**BASE, prompts={"negative": "blurred"}),
            {"guidance": 1.0},
            "negative has no effect with guidance: 1",
        ),
        (UnclipSettings(**BASE), {"solver": "heun"}, "solver must be dpmpp or ddim"),
        (UnclipSettings(**BASE), {"precision": "int8"}, "set generator.precision"),
    ],
)
def test_a_sampler_that_means_nothing_is_refused(
    settings: PipelineSettings, sampler: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        settings.resolve_sampler(SamplerSettings(**sampler))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"prompts": {"templates": ["a photo of a dog"]}}, "must hold {class} once"),
        ({"prompts": {"templates": ["{class} and {class}"]}}, "must hold {class} once"),
        ({"prompts": {"templates": []}}, "at least 1 item"),
        ({"seeds": 2}, "without lora, which trains nothing"),
        ({**LORA, "precision": "fp16"}, "write bf16"),
        ({**LORA, "prompts": {"templates": ["a sks {class}", "a {class}"]}}, "both have 'a {class}'"),
        ({"revision": "main"}, "should match pattern"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        StableDiffusionSettings(**BASE, **keys)


def test_variants_are_not_drawn_while_a_network_is_trained() -> None:
    content = load_recipe(DEMO).model_dump(mode="json")
    content |= {"generator": {"kind": "stable-diffusion", **BASE, "mode": "image"}, "sampler": {"strength": 0.5}}
    for source in ("stored", "drawn"):
        arm = {"variants": {"kind": "git", "by": ["generator"], "source": source}}
        mixed = {**content, "expanded": {**content["expanded"], "mine": arm}}
        if source == "stored":
            parse_recipe(mixed, DEMO)
        else:
            with pytest.raises(UserError, match="kind: stable-diffusion is too slow for that; write source: stored"):
                parse_recipe(mixed, DEMO)


def test_images_to_preserve_are_counted_with_all_their_steps() -> None:
    kept = StableDiffusionSettings(**BASE, **LORA, mode="image")
    assert kept.count_first(SamplerSettings(strength=0.5), 3) == 2 * 3 * 50
    assert StableDiffusionSettings(**BASE).count_first(SamplerSettings(), 3) == 0


def test_a_recipe_says_which_key_is_wrong_and_lists_those_of_its_kind() -> None:
    content = load_recipe(DEMO).model_dump(mode="json")

    def parse(**generator: Any) -> None:
        parse_recipe({**content, "generator": {"kind": "stable-diffusion", **generator}, "sampler": {}}, DEMO)

    parse(**BASE)
    with pytest.raises(UserError, match=r"key 'generator\.licence' is missing"):
        parse(model="models/sd")
    with pytest.raises(UserError, match=r"unknown key 'generator\.prompt'.*did you mean 'prompts'"):
        parse(**BASE, prompt="x")
