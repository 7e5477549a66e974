"""A workspace inside a workspace, in which recipes are trained for fewer steps, to see which of them is worth more.

It shares recipes, sources, networks and finished trainings with the workspace around it, and has outputs, unfinished
work and locks of its own. Every recipe of the race is active in it and no other, so that equal stages are made once.
The module does not know what the stages compute or who wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ops.recipe.changes import Changes, change_recipe
from ops.recipe.schema import Recipe
from ops.workspaces.workspace import Workspace


@dataclass(frozen=True)
class RaceWorkspace(Workspace):
    """The race `key`; fitted: by recipe the changes to its steps that hold in this rung."""

    key: str = ""
    fitted: Mapping[str, Changes] = field(default_factory=dict, hash=False)

    @property
    def area(self) -> Path:
        return self.root / ".growset" / "races" / self.key

    @property
    def expansions(self) -> list[str]:
        return list(self.fitted)

    def load_recipe(self, expansion: str, *, active: bool = True) -> Recipe:
        """The recipe with the steps of this rung."""
        recipe = super().load_recipe(expansion, active=active)
        changes = self.fitted.get(expansion, {})
        return change_recipe(self.recipe_path(expansion), changes)[0] if changes else recipe
