"""A recipe with what was chosen on validation put in the place of `augmentation: auto` and of the recipe's own length.

The stages that train classifiers get the settled recipe; fingerprints are those of the recipe as it is written, with
the content of `training_policy` among the inputs. How the choice was made is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.recipe.arms import Arm, Policy, Standardise
from ops.recipe.schema import Recipe


@dataclass(frozen=True)
class TrainingPolicy:
    """What the stage `training_policy` chose: augmentation, how images are standardised, optimizer steps."""

    augmentation: Policy
    standardise: Standardise
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; an operation that is left out is not named."""
        return {
            "augmentation": self.augmentation.model_dump(exclude_defaults=True),
            "standardise": self.standardise,
            "steps": self.steps,
        }


def read_policy(found: Mapping[str, Any]) -> TrainingPolicy | None:
    """From `to_dict`; None for {}, the file of a recipe that chooses nothing."""
    if not found:
        return None
    return TrainingPolicy(Policy.model_validate(found["augmentation"]), found["standardise"], found["steps"])


def settle_recipe(recipe: Recipe, policy: TrainingPolicy | None) -> Recipe:
    """The recipe without `auto`; the same one where nothing was chosen."""
    if policy is None:
        return recipe

    def settle(arm: Arm) -> Arm:
        return arm.model_copy(update={"augmentation": policy.augmentation}) if arm.augmentation.kind == "auto" else arm

    classifier, scorer = recipe.classifier, recipe.scorer
    network = classifier.network.model_copy(update={"standardise": policy.standardise})
    judged: dict[str, Any] = {"standardise": policy.standardise}
    if scorer.augmentation.kind == "auto":
        judged["augmentation"] = policy.augmentation
    return recipe.model_copy(
        update={
            "classifier": classifier.model_copy(update={"network": network, "steps": policy.steps}),
            "scorer": scorer.model_copy(update=judged),
            "baselines": {name: settle(arm) for name, arm in recipe.baselines.items()},
            "expanded": {name: settle(arm) for name, arm in recipe.expanded.items()},
        }
    )
