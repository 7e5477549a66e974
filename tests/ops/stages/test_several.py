"""Folders, seeds and totals of several generators, on a folder written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.files.manifests import MANIFEST, describe_output
from ops.files.storage import write_json, write_text
from ops.generators.noise import derive_key
from ops.recipe.stages import STAGES
from ops.stages.several import (
    STAGES_OF_EACH,
    assign_generators,
    count_generators,
    derive_seed,
    find_root,
    join_metrics,
    place,
    place_inputs,
    read_part,
)

IDENTITY = {"stage": "mixed_dataset", "version": 1, "fingerprint": "abc", "settings": {}, "inputs": {}}


def fill(folder: Path, contents: list[str]) -> Path:
    """A stage's folder with one file a generator, and its manifest."""
    for generator, content in enumerate(contents):
        write_text(place(folder, generator) / "sub" / "index.txt", content)
    each = [{"images": len(content)} for content in contents]
    metrics = each[0] if len(each) == 1 else join_metrics(each, ("images",))
    write_json(folder / MANIFEST, describe_output(folder, IDENTITY, metrics))
    return folder


def test_a_part_is_described_as_a_single_generator_would_be(tmp_path: Path) -> None:
    contents = ["a", "bcd", "ef"]
    several = fill(tmp_path / "several", contents)
    assert count_generators(several) == 3
    for generator, content in enumerate(contents):
        alone = fill(tmp_path / content, [content])
        assert count_generators(alone) == 1
        part, only = read_part(place(several, generator)), read_part(alone)
        assert {key: part[key] for key in ("files", "content", "metrics")} == {
            key: only[key] for key in ("files", "content", "metrics")
        }


def test_a_folder_that_only_looks_like_a_generators_is_its_own_root(tmp_path: Path) -> None:
    stage = fill(tmp_path / "stage", ["a", "b"])
    assert find_root(place(stage, 1)) == (stage, 1)
    for name in ("generators/1", "generators/mine"):  # a user's folders, without a manifest above them
        assert find_root(tmp_path / name) == (tmp_path / name, 0)
    assert find_root(stage / "generators" / "mine") == (stage / "generators" / "mine", 0)


def test_stages_that_run_once_have_one_folder_for_all_generators() -> None:
    folders = {stage: Path(stage) for stage in STAGES}
    assert place_inputs(folders, 0) == folders
    second = place_inputs(folders, 2)
    assert {stage for stage in STAGES if second[stage] != folders[stage]} == set(STAGES_OF_EACH)
    assert second["generator"] == Path("generator/generators/2") and second["scorer"] == Path("scorer")


@given(st.integers(0, 2**31 - 1))
def test_generator_0_has_the_recipes_seed_and_others_have_distinct_valid_seeds(seed: int) -> None:
    seeds = [derive_seed(seed, generator) for generator in range(4)]
    assert seeds[0] == seed and len(set(seeds)) == 4
    assert all(0 <= other < 2**31 for other in seeds)
    keys = {derive_key(other, 0, "0").tobytes() for other in seeds}
    assert len(keys) == 4


def test_classifier_seeds_take_the_generators_in_turn() -> None:
    assert assign_generators(5, 3) == [0, 1, 2, 0, 1]
    assert assign_generators(2, 1) == [0, 0]


def test_counts_are_added_and_the_rest_averaged_or_left_out() -> None:
    first = {"n": 2, "rate": 0.5, "short": {"a": 1}, "kind": "fp32", "provider": "cpu", "passed": True, "loss": None}
    second = {"n": 5, "rate": 0.25, "short": {"a": 2, "b": 3}, "kind": "int8", "provider": "cpu", "passed": False,
              "loss": 0.5}  # fmt: skip
    assert join_metrics([first, second], ("n", "short")) == {
        "n": 7, "rate": pytest.approx(0.375), "short": {"a": 3, "b": 3}, "provider": "cpu", "passed": False,
        "generators": [first, second],
    }  # fmt: skip
    assert join_metrics([first, first], ("n",))["n"] == 4
