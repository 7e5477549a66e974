"""The units of an expansion: the seed images that a plan chose, and a writer of other classes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ops.chain.expansion_plan import build_expansion_plan
from ops.chain.parts import units as module
from ops.chain.parts.units import find_source
from ops.datasets.index import write_index
from ops.errors import UserError
from ops.files.outputs import IMAGINATION, PLAN, SEEDS
from ops.files.storage import read_json
from ops.generators.feeds import IMAGE
from ops.planning.plan import plan_expansion, read_plan
from ops.planning.quota import share_plan
from ops.recipe.sections import PlanSettings
from tests.priorfolders import NAMES, write_scorer, write_seeds


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    write_seeds(tmp_path / "real_images")
    write_scorer(tmp_path / "scorer")
    for stage in ("expansion_plan", "generator_onnx"):
        (tmp_path / stage).mkdir()
    monkeypatch.setattr(module, "find_drawer", lambda folder: SimpleNamespace(read_info=lambda: INFO))
    manifest = {"content": "x", "metrics": {"class_names": list(NAMES)}}
    monkeypatch.setattr(module, "read_manifest", lambda folder: manifest)
    monkeypatch.setattr("ops.chain.expansion_plan.read_manifest", lambda folder: manifest)
    return {stage: tmp_path / stage for stage in ("real_images", "expansion_plan", "scorer", "generator_onnx")}


INFO = SimpleNamespace(records=False, inputs=(IMAGE,), class_names=("a", "c", "b"))


def plan(inputs: dict[str, Path], seeds: str) -> list[str]:
    """Make the plan; the lines that were told."""
    lines = list[str]()
    run = SimpleNamespace(
        inputs=inputs,
        out=inputs["expansion_plan"],
        recipe=SimpleNamespace(plan=PlanSettings.model_validate({"ratio": 2.0, "seeds": seeds})),
        runtime=SimpleNamespace(sink=lines.append),
    )
    build_expansion_plan(run)
    return lines


def test_variants_are_made_of_the_images_that_the_scorer_learns_worst(inputs: dict[str, Path]) -> None:
    assert plan(inputs, "all") == [] and not (inputs["expansion_plan"] / SEEDS).exists()
    whole = find_source(inputs)
    assert len(whole.units) == 6
    (line,) = plan(inputs, "hard")
    assert "variants are made of 3 of 6 training images, the third of each class" in line
    table = pl.read_parquet(inputs["expansion_plan"] / SEEDS)
    assert table.columns == ["image_id", "label", "odds", "loss", "named", "rank", "chosen"]
    found = find_source(inputs)
    assert [unit.parent for unit in found.units] == table.filter("chosen").sort("label", "rank")["image_id"].to_list()
    assert {unit.label for unit in found.units} == {0, 1, 2} and found.content != whole.content
    stored = read_plan(inputs["expansion_plan"])
    assert read_json(inputs["expansion_plan"] / PLAN)["seed_images"] == 3 and stored.seeds == "hard"
    assert [quota.wanted for quota in share_plan(stored, found.units)] == [4, 4, 4]  # as many images as with all
    assert sum(quota.wanted for quota in share_plan(stored, whole.units)) == 12


def test_a_class_that_wants_fewer_images_than_it_has_seeds_takes_those_that_are_learnt_worst(
    inputs: dict[str, Path],
) -> None:
    plan(inputs, "all")
    rows = [{"image_id": unit.key, "label": unit.label, "chosen": True} for unit in find_source(inputs).units]
    contents = set()
    for turned in (False, True):
        table = pl.DataFrame(rows).with_columns(
            rank=pl.int_range(pl.len()).sort(descending=turned).over("label").cast(pl.Int64) + 1
        )
        write_index(inputs["expansion_plan"] / SEEDS, table)
        found = find_source(inputs)
        assert [unit.key for unit in found.units] == table.sort("label", "rank")["image_id"].to_list()
        few = plan_expansion(np.array([2, 2, 2]), NAMES, PlanSettings(ratio=0.5, seeds="hard"))
        kept = [unit.key for unit, quota in zip(found.units, share_plan(few, found.units), strict=True) if quota.wanted]
        assert kept == table.filter(rank=1).sort("label")["image_id"].to_list()
        contents.add(found.content)
    assert len(contents) == 2  # counts are in the order of the units


def test_images_are_not_written_with_classes_in_another_order_than_the_real_ones(inputs: dict[str, Path]) -> None:
    write_index(inputs["generator_onnx"] / IMAGINATION, pl.DataFrame({"any": [0]}))
    with pytest.raises(UserError, match="the generator has the classes in another order: class 1 is 'c' there and 'b'"):
        find_source(inputs)
