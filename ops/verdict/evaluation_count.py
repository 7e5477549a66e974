"""How often the test split of an expansion was looked at, over all recipes: counted in the workspace's log.

A split is identified by its content, so that a renamed or copied recipe shows the looks of the split that it shares. A
verdict's manifest holds the number of looks at its time. Where a verdict was pulled without the log that records it,
that number counts as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from ops.datasets.identity import split_content
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.errors import DamagedData, UserError
from ops.files.manifests import read_manifest
from ops.verdict.evaluation_log import count_looks, read_log
from ops.workspaces.workspace import Workspace


@dataclass(frozen=True)
class Looks:
    """Looks at a split. `content`: hash of the split. `images`: how many it has. `logged`: looks in the log.
    `elsewhere`: looks known only from verdicts here, whose last records have the hashes `absent`. `head`: hash of the
    last record of this content in the log, None if there is no such record."""

    content: str
    images: int
    logged: int
    elsewhere: int
    absent: tuple[str, ...]
    head: str | None

    @property
    def total(self) -> int:
        return self.logged + self.elsewhere

    def to_metrics(self) -> dict[str, Any]:
        """The entries of a verdict's manifest."""
        return {"test_split": self.content, "looks": self.total, "log_head": self.head}


def read_evaluations(workspace: Workspace) -> list[dict[str, Any]]:
    """The workspace's log, compared with its copy in .growset. DamagedData if anything is missing."""
    return read_log(workspace.evaluations, workspace.known_evaluations)


def find_looks(workspace: Workspace, expansion: str) -> Looks:
    """The looks at the expansion's current test split; reads ids and labels, no pixels."""
    shards = find_shards(workspace.output(expansion, "real_images"), "test")
    return find_looks_at(workspace, expansion, read_rows(shards))


def find_looks_at(workspace: Workspace, expansion: str, rows: pl.DataFrame) -> Looks:
    """The looks at test images with these ids and labels, for a recipe of this expansion."""
    content = split_content(rows["image_id"].to_list(), rows["label"].to_list())
    records = read_evaluations(workspace)
    logged = count_looks(records, content, expansion=expansion, images=len(rows))
    own = [record for record in records if record.get("content") == content]
    known = {name for record in own for name in (record["hash"], *record["absorbed"])}
    absent = _find_absent(workspace, content, known)
    head = own[-1]["hash"] if own else None
    return Looks(content, len(rows), logged, max(absent.values(), default=0), tuple(sorted(absent)), head)


def _find_absent(workspace: Workspace, content: str, known: set[str]) -> dict[str, int]:
    """Looks by the hash of the last record, from the verdicts here whose records are not in the log."""
    found: dict[str, int] = {}
    data = workspace.root / "data"
    for path in (*data.glob("*/verdict"), *data.glob("*/folds")):
        try:
            metrics = read_manifest(path)["metrics"]
        except (UserError, DamagedData):  # missing or unreadable
            continue
        for entry in metrics.get("fold_looks", [metrics]):
            if entry.get("test_split") == content and entry["log_head"] not in known:
                found[entry["log_head"]] = int(entry["looks"])
    return found
