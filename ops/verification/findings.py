"""The input and output of a check: an expansion's folders with the commands that repair them, and findings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ops.files.manifests import MANIFEST, PUBLISHED
from ops.recipe.stages import STAGES
from ops.stages.unused import read_unused
from ops.workspaces.workspace import Workspace


@dataclass(frozen=True)
class Finding:
    """`where`: a file or folder. `what`: the fault, as the rest of a sentence that begins with `where`. `repair`: how
    to repair it, usually a command."""

    where: Path
    what: str
    repair: str

    def __str__(self) -> str:
        return f"{self.where} {self.what}; repair: {self.repair}"


@dataclass(frozen=True)
class Subject:
    """The expansion to verify. `damaged`: outputs whose bytes are known to have changed; their content is not compared
    with other outputs."""

    workspace: Workspace
    name: str
    damaged: frozenset[str] = frozenset()

    def folder(self, stage: str) -> Path:
        """The folder of a stage's output or of the published dataset."""
        return self.workspace.published(self.name) if stage == PUBLISHED else self.workspace.output(self.name, stage)

    def has(self, *stages: str) -> bool:
        """Whether all these outputs are present and undamaged."""
        return all(stage in self.present and stage not in self.damaged for stage in stages)

    @property
    def present(self) -> list[str]:
        """The outputs that have a manifest, in the order of the chain."""
        return [stage for stage in (*STAGES, PUBLISHED) if (self.folder(stage) / MANIFEST).is_file()]

    @property
    def publishes(self) -> bool:
        """Whether the published dataset is of the present outputs: not where the generator is not used, because an
        earlier dataset stays then."""
        return not self.has("generated_images") or read_unused(self.folder("generated_images")) is None

    @property
    def restore(self) -> str:
        """The command that restores the bytes that DVC recorded."""
        return f"growset pull {self.name}"

    @property
    def remake(self) -> str:
        """The command that makes outdated outputs again."""
        return f"growset run {self.name}"

    def rebuild(self, stage: str) -> str:
        """How to rebuild an output that is wrong although its bytes match DVC's record."""
        return f"remove {self.folder(stage)} and run: growset run {self.name}"
