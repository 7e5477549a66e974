"""The check that the remote holds every object of a published dataset, and of the stages that it was made from."""

from __future__ import annotations

from ops.chain.findings import Finding
from ops.chain.publishing import pushed_targets
from ops.remotes.transfer import default_remote, find_faults
from ops.workspaces.workspace import Workspace


def examine_remote(workspace: Workspace, expansion: str) -> Finding:
    """Every object of the published dataset is in the remote, with the size that was sent; no object is read.

    EnvironmentFault if the remote cannot be reached.
    """
    remote = default_remote(workspace.root)
    if not workspace.pointer(expansion).exists():
        return Finding(False, "nothing is published yet", remedy=f"growset run {expansion}")
    if remote is None:
        return Finding(
            True,
            "this workspace has no DVC remote, so no other copy of the published dataset exists",
            {"faulty_objects": 0},
        )
    faults = find_faults(workspace.root, pushed_targets(workspace, expansion))
    figures = {"faulty_objects": len(faults)}
    if not faults:
        return Finding(True, f"the remote '{remote[0]}' has every object of the published dataset", figures)
    (file, fault), *more = sorted(faults.items())
    others = f" ({len(more)} more of its objects have faults)" if more else ""
    sentence = f"the copy of {file.relative_to(workspace.root)} in the remote '{remote[0]}' {fault}{others}"
    return Finding(False, sentence, figures, remedy=f"growset push {expansion}")
