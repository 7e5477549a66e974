"""Stage `teachers`: the networks of baseline arms that label images for arms with generated images.

It is a stage of its own so that arms with generated images are trained again only where their teachers have changed,
not where any baseline has.
"""

from __future__ import annotations

import shutil
from typing import Any

from ops.chain.parts.classifiers import find_teachers, weights_file
from ops.files.outputs import RESULTS, TEACHERS
from ops.files.storage import read_json, write_json
from ops.recipe.counterparts import list_teachers
from ops.stages.materialization import StageRun


def build_teachers(run: StageRun) -> dict[str, Any]:
    """Copy the networks of each arm that `targets.of` names; teachers.json lists these arms, and may list none."""
    folder = run.inputs["baseline_classifiers"]
    aliases = read_json(folder / RESULTS)["aliases"]
    found = find_teachers(run.recipe.expanded, folder, aliases)
    for arm, path in found.items():
        shutil.copyfile(path, run.out / weights_file(arm))
    arms = sorted(list_teachers(run.recipe.expanded))
    write_json(run.out / TEACHERS, {"arms": arms})
    return {"teachers": len(arms)}
