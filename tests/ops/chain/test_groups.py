"""Groups of a source in a real workspace: they are stored, and the scorer's folds keep them whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from ops.chain.driver import Chain
from ops.chain.parts.fold_verdict import FoldAnswers
from ops.chain.parts.reference import LOGGED
from ops.datasets.index import write_index
from ops.datasets.pixels import read_split
from ops.datasets.units import link_groups, read_units, write_groups
from ops.files.manifests import read_manifest
from ops.files.outputs import FOLD_ANSWERS, GROUPS
from ops.judging.scorer import load_scorer
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace
from tests.workspaces import add_groups, make_workspace


def test_images_of_folds_have_the_units_of_the_source(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d"]
    table = pl.DataFrame({"arm": LOGGED, "fold": [1, 1, 2, 2], "image_id": [f"{name}-0" for name in names], "label": 0})
    write_index(tmp_path / FOLD_ANSWERS, table)
    answers = FoldAnswers(tmp_path)
    assert answers.find_units(tmp_path) is None
    write_groups(tmp_path, link_groups(names, ["x", "y", "x", "z"]))
    units = answers.find_units(tmp_path)
    assert units is not None and units[0] == units[2] and len(set(units.tolist())) == 3


def test_the_scorers_folds_keep_a_sources_groups_whole(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "workspace")
    add_groups(root, lambda row: row // 4)
    recipe = root / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("folds: 2, steps: 40", "folds: 2, steps: 1"))

    chain = Chain(Workspace(root), Runtime(workers=1))
    for stage in ("real_images", "training_policy", "scorer"):
        chain.run("digits", stage)
    real = chain.workspace.output("digits", "real_images")
    train = read_split(real, "train")
    units, folds = read_units(real, train), load_scorer(chain.workspace.output("digits", "scorer")).folds
    assert (real / GROUPS).exists()
    policy, scorer = (read_manifest(chain.workspace.output("digits", stage)) for stage in ("training_policy", "scorer"))
    assert policy["settings"]["one_draw"].startswith("group") and "one_draw" not in scorer["settings"]
    assert len(set(units.tolist())) < len(train) / 2
    assert all(len(set(folds[units == unit].tolist())) == 1 for unit in units)
    assert np.bincount(folds).min() >= len(train) / 3
