"""A recipe with what was chosen on validation put in the place of `augmentation: auto` and of the recipe's own length.

The stages that train networks get the settled recipe; fingerprints are those of the recipe as it is written, with the
content of `training_policy` among the inputs. How the choice was made is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.recipe.arms import AUGMENTATIONS, Arm, Policy, Standardise
from ops.recipe.classifiers import ScorerSettings
from ops.recipe.denoisers import UNTOLD, asks_for_policy
from ops.recipe.generator import KindSettings
from ops.recipe.schema import Recipe
from ops.settings.kinds import Kind, OneOf


@dataclass(frozen=True)
class TrainingPolicy:
    """What the stage `training_policy` chose: augmentation, how images are standardised, optimizer steps.

    network: keys of a small_resnet, `stride` and `width`; None where the recipe names a network of its own.
    composed: the policy of single operations, which generators use; `augmentation` too, unless RandAugment is better.
    """

    augmentation: Kind
    standardise: Standardise
    steps: int
    network: Mapping[str, int] | None = None
    composed: Policy = field(default_factory=Policy)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; an operation that is left out is not named."""
        return {
            "augmentation": {"kind": self.augmentation.kind, **self.augmentation.model_dump(exclude_defaults=True)},
            "standardise": self.standardise,
            "steps": self.steps,
            "network": None if self.network is None else dict(self.network),
            "composed": self.composed.model_dump(exclude_defaults=True),
        }


def read_policy(found: Mapping[str, Any]) -> TrainingPolicy | None:
    """From `to_dict`; None for {}, the file of a recipe that chooses nothing."""
    if not found:
        return None
    augmentation = OneOf(AUGMENTATIONS).read(found["augmentation"])
    composed = Policy.model_validate(found["composed"])
    return TrainingPolicy(augmentation, found["standardise"], found["steps"], found["network"], composed)


def settle_recipe(recipe: Recipe, policy: TrainingPolicy | None) -> Recipe:
    """The recipe without `auto`; the same one where nothing was chosen."""
    if policy is None:
        return recipe
    classifier = recipe.classifier
    chosen = {"standardise": policy.standardise, **(policy.network or {})}
    network = classifier.network.model_copy(update=chosen)
    return recipe.model_copy(
        update={
            "classifier": classifier.model_copy(update={"network": network, "steps": policy.steps}),
            "scorer": _settle_scorer(recipe.scorer, policy),
            "generator": _settle_generator(recipe.generator, policy),
            "baselines": settle_arms(recipe.baselines, policy),
            "expanded": settle_arms(recipe.expanded, policy),
        }
    )


def settle_arms(arms: Mapping[str, Arm], policy: TrainingPolicy | None) -> dict[str, Arm]:
    """The arms without `augmentation: auto`; the same ones where nothing was chosen."""
    if policy is None:
        return dict(arms)
    chosen = {"augmentation": policy.augmentation}
    return {
        name: arm.model_copy(update=chosen) if arm.augmentation.kind == "auto" else arm for name, arm in arms.items()
    }


def _settle_generator(generator: KindSettings, policy: TrainingPolicy) -> KindSettings:
    """The generator with the operations of the policy that a network can be told of."""
    if not asks_for_policy(generator):
        return generator
    told = policy.composed.model_copy(update=dict.fromkeys(UNTOLD, 0.0))
    return generator.model_copy(update={"augmentation": told})


def _settle_scorer(scorer: ScorerSettings, policy: TrainingPolicy) -> ScorerSettings:
    """The scorer with the network of the arms, unless the recipe gives it a width or stride of its own."""
    chosen: dict[str, Any] = {"standardise": policy.standardise}
    if scorer.augmentation.kind == "auto":
        chosen["augmentation"] = policy.augmentation
    defaults = ScorerSettings()
    if policy.network and (scorer.width, scorer.stride) == (defaults.width, defaults.stride):
        chosen |= policy.network
    return scorer.model_copy(update=chosen)
