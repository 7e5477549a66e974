"""What a check returns, and what it is given: an expansion's folders and the commands that mend them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ops.files.manifests import MANIFEST, PUBLISHED
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace


@dataclass(frozen=True)
class Finding:
    """`where` is a file or a folder, `what` completes a sentence that begins with it, `repair` is what mends it."""

    where: Path
    what: str
    repair: str

    def __str__(self) -> str:
        return f"{self.where} {self.what}; repair: {self.repair}"


@dataclass(frozen=True)
class Subject:
    """The expansion that is verified. `damaged`: outputs with other bytes than were written, as far as is known; what
    they say is not compared with anything."""

    workspace: Workspace
    name: str
    damaged: frozenset[str] = frozenset()

    def folder(self, stage: str) -> Path:
        """Of a stage's output or of the published dataset."""
        return self.workspace.published(self.name) if stage == PUBLISHED else self.workspace.output(self.name, stage)

    def has(self, *stages: str) -> bool:
        """Whether all these outputs are there, undamaged."""
        return all(stage in self.present and stage not in self.damaged for stage in stages)

    @property
    def present(self) -> list[str]:
        """The outputs that are there, in the order of the chain."""
        return [stage for stage in (*STAGES, PUBLISHED) if (self.folder(stage) / MANIFEST).is_file()]

    @property
    def restore(self) -> str:
        """What brings back the bytes that DVC knows."""
        return f"growset pull {self.name}"

    @property
    def remake(self) -> str:
        """What makes anew what is not current."""
        return f"growset run {self.name}"

    def rebuild(self, stage: str) -> str:
        """The command that rebuilds an output that is wrong although its bytes match DVC's record."""
        return f"remove {self.folder(stage)} and run: growset run {self.name}"
