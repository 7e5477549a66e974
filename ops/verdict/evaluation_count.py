"""How often the test split of an expansion was looked at, over all recipes: the log of the workspace, read with care.

A split is known by its content, so that a renamed or copied recipe shows the looks of the split that it shares. A
verdict's manifest tells the looks at its time; where one was pulled without the log that it is recorded in, its number
counts as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ops.datasets.identity import split_content
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.errors import DamagedData, UserError
from ops.files.manifests import read_manifest
from ops.verdict.evaluation_log import count_looks, read_log
from ops.workspaces.workspace import Workspace


@dataclass(frozen=True)
class Looks:
    """`content`: the split's. `images`: how many it has. `logged`: looks that the log tells of. `elsewhere`: looks that
    only verdicts here tell of, whose last records have the hashes `absent`. `head`: hash of the last record of this
    content in the log, None where there is none."""

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
        """What a verdict's manifest says of them."""
        return {"test_split": self.content, "looks": self.total, "log_head": self.head}


def read_evaluations(workspace: Workspace) -> list[dict[str, Any]]:
    """The workspace's log, compared with the copy that is kept in .growset. DamagedData where anything is missing."""
    return read_log(workspace.evaluations, workspace.known_evaluations)


def find_looks(workspace: Workspace, expansion: str) -> Looks:
    """The looks at the test split that the expansion has now; its ids and labels are read, no pixels."""
    rows = read_rows(find_shards(workspace.output(expansion, "real_images"), "test"))
    content = split_content(rows["image_id"].to_list(), rows["label"].to_list())
    records = read_evaluations(workspace)
    logged = count_looks(records, content, expansion=expansion, images=len(rows))
    own = [record for record in records if record.get("content") == content]
    known = {name for record in own for name in (record["hash"], *record["absorbed"])}
    absent = _find_absent(workspace, content, known)
    head = own[-1]["hash"] if own else None
    return Looks(content, len(rows), logged, max(absent.values(), default=0), tuple(sorted(absent)), head)


def _find_absent(workspace: Workspace, content: str, known: set[str]) -> dict[str, int]:
    """Looks by the hash of the last record, as verdicts here tell them whose records are not in the log."""
    found: dict[str, int] = {}
    for path in (workspace.root / "data").glob("*/verdict"):
        try:
            metrics = read_manifest(path)["metrics"]
        except (UserError, DamagedData):  # none there, or one that says nothing any more
            continue
        if metrics.get("test_split") == content and metrics["log_head"] not in known:
            found[metrics["log_head"]] = int(metrics["looks"])
    return found
