"""A generator that takes long here: one sentence with the time on a GPU, in proportion to the products."""

from __future__ import annotations

import re
from pathlib import Path

from ops.planning.length import LONG, warn_of_length
from ops.recipe.changes import change_recipe
from tests.workspaces import ROOT

DEMO = ROOT / "recipes" / "fashion-flow.yaml"


def test_an_hour_is_borne_and_more_is_warned_of(tmp_path: Path) -> None:
    recipe, _ = change_recipe(DEMO, {"generator.widths": [256, 512], "generator.steps": 100_000})
    assert warn_of_length(recipe, LONG, (3, 128, 128), tmp_path) is None
    said = warn_of_length(recipe, 40 * LONG, (3, 128, 128), tmp_path)
    assert said is not None and "training takes 40 h 0 min here" in said and "not measured" in said
    longer, _ = change_recipe(DEMO, {"generator.widths": [256, 512], "generator.steps": 200_000})
    assert _read_minutes(warn_of_length(longer, 40 * LONG, (3, 128, 128), tmp_path)) > 1.9 * _read_minutes(said)


def _read_minutes(said: str | None) -> int:
    found = re.search(r"and (?:(\d+) h )?(\d+) min with --device cuda", str(said))
    assert found is not None, said
    return 60 * int(found[1] or 0) + int(found[2])
