"""What a recipe cannot have beside `data.unlabelled`, where images without labels are expanded.

Generated images then have no labels either. So nothing that draws, filters, counts or learns by class has a meaning for
them, and whoever learns from them learns without labels. The module knows settings alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ops.recipe.adversarial import AdversarialSettings
from ops.recipe.arms import Arm
from ops.recipe.automation import AutomationSettings
from ops.recipe.contrastive_arms import is_contrastive
from ops.recipe.data import DataSettings
from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.filtering import FilterSettings
from ops.recipe.generator import KindSettings
from ops.recipe.ingredients.contrastive import CONTRASTIVE
from ops.recipe.pool_arms import list_seeing
from ops.recipe.sampler import SamplerSettings
from ops.recipe.sections import VerdictSettings

# Which draw from noise alone where there are no classes.
GENERATORS = ("flow", "edm", "ddpm", "latent", "dcgan", "stylegan2")


class Sections(Protocol):
    """What is read of a recipe here."""

    @property
    def on_new_images(self) -> str: ...
    @property
    def data(self) -> DataSettings: ...
    @property
    def prior(self) -> KindSettings | None: ...
    @property
    def generator(self) -> KindSettings: ...
    @property
    def sampler(self) -> SamplerSettings: ...
    @property
    def filter(self) -> FilterSettings: ...
    @property
    def expanded(self) -> Mapping[str, Arm]: ...
    @property
    def verdict(self) -> VerdictSettings: ...
    @property
    def automation(self) -> AutomationSettings | None: ...


def check_unlabelled(recipe: Sections) -> None:
    """ValueError for the first key that has no meaning where images without labels are expanded."""
    name = recipe.data.unlabelled
    if recipe.prior is not None:
        raise ValueError(
            "data.unlabelled and prior both learn from images without labels; for variants of labelled images write"
            f" prior: {{pool: {name}}} and no data.unlabelled, else prior: null"
        )
    drawing = recipe.generator
    from_noise = isinstance(drawing, DenoiserSettings | AdversarialSettings)
    if not from_noise or "image" in drawing.list_inputs(recipe.sampler):
        what = "sampler.strength" if recipe.sampler.strength is not None else f"generator.kind: {drawing.kind}"
        raise ValueError(
            f"{what} needs labelled images, and data.unlabelled expands images without labels, which are drawn from"
            f" noise alone; write generator.kind: {', '.join(GENERATORS[:-1])} or {GENERATORS[-1]} and no strength"
        )
    for place, (value, idle) in _list_idle(recipe).items():
        if value != idle:
            shown = {None: "null", False: "false"}.get(idle, idle)
            raise ValueError(
                f"{place} has no effect with data.unlabelled, whose images have no labels; write {place}: {shown}"
            )
    if recipe.verdict.folds is not None:
        raise ValueError(
            "verdict.folds divides labelled images, and data.unlabelled expands others; remove one of them"
        )
    if recipe.automation is not None:
        raise ValueError(
            "automation notices new images of the labelled source alone, and data.unlabelled expands others; write"
            " automation: null"
        )
    check_expanded(recipe.expanded)


def check_expanded(expanded: Mapping[str, Arm]) -> None:
    """ValueError for an arm that would learn from the labels of generated images."""
    for name, arm in expanded.items():
        if not is_contrastive(arm):
            raise ValueError(
                f"the arm {name!r} under expanded learns from labels (trainer: {arm.trainer.kind}), and with"
                f" data.unlabelled generated images have none; give it a trainer without labels:"
                f" {', '.join(CONTRASTIVE)}"
            )


def list_shown(data: DataSettings, baselines: Mapping[str, Arm]) -> list[str]:
    """The arms without generated images that learn from more real images than the labelled ones, in their order."""
    return (
        list_seeing(baselines)
        if data.unlabelled is None
        else [n for n, arm in baselines.items() if is_contrastive(arm)]
    )


def _list_idle(recipe: Sections) -> dict[str, tuple[Any, Any]]:
    """Values that only labels give a meaning, each with the one that means nothing."""
    return {
        "data.nuisance": (recipe.data.nuisance, None),
        "on_new_images": (recipe.on_new_images, "retrain"),
        "generator.class_transfer": (getattr(recipe.generator, "class_transfer", 0.0), 0.0),
        "generator.label_dropout": (getattr(recipe.generator, "label_dropout", 0.0), 0.0),
        "sampler.guidance": (recipe.sampler.guidance, 1.0),
        "filter.wrong_label": (recipe.filter.wrong_label, None),
        "filter.clip": (recipe.filter.clip, None),
    }
