"""How a published dataset differs from the one before it: images by class, and the verdict beside the last one."""

from typing import TYPE_CHECKING, Any

from assets.figures import tabulate
from ops.errors import GrowsetError
from ops.workspaces.workspace import Workspace

if TYPE_CHECKING:
    from ops.history.versions import Contents

MOST_ROWS = 200  # of the table, which the event log holds; those with most changes come first
COUNTS = ("before", "after", "added", "removed", "changed")


def read_earlier(workspace: Workspace, expansion: str) -> "Contents | None":
    """The dataset that is published now, before another one replaces it; None if there is none, or a damaged one."""
    from ops.history.versions import read_published

    try:
        return read_published(workspace, expansion)
    except GrowsetError:  # publishing replaces it, and `growset verify` tells what is damaged
        return None


def describe_change(workspace: Workspace, expansion: str, earlier: "Contents | None") -> dict[str, Any]:
    """Metadata on what publishing changed; empty where nothing was published before."""
    from ops.history.comparison import compare
    from ops.history.versions import read_published

    now = read_published(workspace, expansion)
    if earlier is None or now is None:
        return {}
    found = compare(earlier, now)
    changed = found.classes.with_columns(moves=sum(found.classes[name] for name in COUNTS[2:]))
    rows = changed.filter(changed["moves"] > 0).sort("moves", descending=True, maintain_order=True).head(MOST_ROWS)
    names = ("class", "split", "kind", *COUNTS)
    columns = {name: "int" if name in COUNTS else "string" for name in names}
    return {
        **{f"images_{name}": found.totals[name] for name in COUNTS[2:]},
        "difference": tabulate(rows.select(names).to_dicts(), columns),
        "verdict_before": earlier.verdict["decision"],
        "sentence_before": earlier.verdict["sentence"],
        "sentence": now.verdict["sentence"],
    }
