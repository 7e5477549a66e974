"""A workspace inside a workspace, in which one fold of all images is the test split.

It shares recipes, sources, networks and the prior with the workspace around it, and has outputs, unfinished work and
locks of its own. They stay after the chain of a fold has run, so that another run, or another expansion, reuses what is
still current. The module does not know how images are divided or what the stages compute.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ops.recipe.design import Metric
from ops.recipe.schema import Recipe
from ops.workspaces.workspace import Workspace

PRIOR = "prior"  # the stage


@dataclass(frozen=True)
class FoldWorkspace(Workspace):
    """Fold `number`, from 1, of `folds`. metric: chosen once for all folds, whose class sizes differ a little."""

    number: int = 1
    folds: int = 1
    metric: Metric = "accuracy"

    @property
    def area(self) -> Path:
        return self.root / ".growset" / "folds" / f"{self.number}-of-{self.folds}"

    def output(self, expansion: str, stage: str) -> Path:
        """As of any workspace; the prior has seen no image of a fold, and is that of the workspace around this one."""
        return Workspace(self.root).output(expansion, stage) if stage == PRIOR else super().output(expansion, stage)

    def load_recipe(self, expansion: str, *, active: bool = True) -> Recipe:
        """The recipe with a seed of its own, so that folds share no luck, and with the metric.

        No arm is left out, since each must answer in every fold.
        """
        recipe = super().load_recipe(expansion, active=active)
        verdict = recipe.verdict.model_copy(update={"metric": self.metric})
        classifier = recipe.classifier.model_copy(update={"race": None})
        seed = derive_fold_seed(recipe.seed, self.number)
        return recipe.model_copy(update={"seed": seed, "verdict": verdict, "classifier": classifier})


def derive_fold_seed(seed: int, number: int) -> int:
    """The seed of a fold's chain, 0 <= seed < 2^31: a hash, so that recipes with neighbouring seeds share no fold."""
    return int.from_bytes(hashlib.sha256(f"{seed}/fold/{number}".encode()).digest()[:4], "big") >> 1
