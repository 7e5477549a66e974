"""A generator that takes long here: one sentence with the time on a GPU, in proportion to the products."""

from __future__ import annotations

import re
from pathlib import Path

from ops.planning.length import LONG, warn_of_large_networks, warn_of_length
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


def test_a_pipeline_is_said_to_need_a_gpu_and_no_time_on_one_is_made_up(tmp_path: Path) -> None:
    flow, _ = change_recipe(DEMO, {})
    generator = {"kind": "unclip", "model": "models/unclip", "licence": "as is"}
    unclip, _ = change_recipe(DEMO, {"generator": generator, "sampler": {}})
    seconds = {"scorer": 5.0, "generator": 0.0, "generator_onnx": 1800.0, "generated_images": 5400.0}
    assert warn_of_large_networks(flow, seconds) is None
    said = warn_of_large_networks(unclip, seconds)
    assert said is not None and "take 2 h 0 min here" in said and "how long a GPU takes was not measured" in said
    assert warn_of_length(unclip, 40 * LONG, (3, 128, 128), tmp_path) is None


def _read_minutes(said: str | None) -> int:
    found = re.search(r"and (?:(\d+) h )?(\d+) min with --device cuda", str(said))
    assert found is not None, said
    return 60 * int(found[1] or 0) + int(found[2])
