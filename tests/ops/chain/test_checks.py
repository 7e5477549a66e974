"""Each check passes on a small tree of real outputs and fails on the fault planted for it.

The tree has two classes of 6 training, 2 validation and 2 test images and 8 generated ones, of which 4 are accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ops.chain.checks import CHECKS, Check, run_check
from ops.chain.findings import Finding
from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.index import locate_rows, read_index, write_index
from ops.datasets.pixels import PixelDataset, build_rows, read_rows, write_shards
from ops.datasets.shards import find_shards
from ops.files.manifests import describe_output, read_manifest
from ops.files.storage import read_json, write_json
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace

NAMES = ("Bag", "Sandal")
IDENTITY = {"version": 1, "fingerprint": "abc", "settings": {}, "inputs": {}}
BY_NAME = {check.name: check for check in CHECKS}
PER_CLASS = {"train": 6, "validation": 2, "test": 2}

Planter = Callable[[Workspace], None]


def out(workspace: Workspace, stage: str) -> Path:
    return workspace.output("base", stage)


def draw(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def write_real(workspace: Workspace, split: str, images: np.ndarray) -> None:
    labels = np.arange(len(images)) % 2
    rows = build_rows(labels, number_repeats(content_ids(images)), split=split)
    write_shards(out(workspace, "real_images"), PixelDataset(images, rows, NAMES), prefix=split)


def write_generated(workspace: Workspace, labels: list[int], ids: list[str]) -> None:
    rows = build_rows(labels, ids, split="train", is_generated=True)
    write_shards(out(workspace, "generated_images"), PixelDataset(draw(9, len(ids)), rows, NAMES), prefix="generated")


def write_rounds(workspace: Workspace, *drawn: list[int]) -> None:
    rounds = [{"drawn": counts, "accepted": counts, "shards": []} for counts in drawn]
    write_json(out(workspace, "generated_images") / "rounds.json", {"rounds": rounds})


def describe(workspace: Workspace, stage: str, **metrics: Any) -> None:
    """Write the stage's manifest over whatever its folder holds."""
    folder = out(workspace, stage)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "manifest.json", describe_output(folder, IDENTITY | {"stage": stage}, metrics))


def change_metrics(workspace: Workspace, stage: str, **metrics: Any) -> None:
    describe(workspace, stage, **{**read_manifest(out(workspace, stage))["metrics"], **metrics})


def change_index(workspace: Workspace, stage: str, **columns: pl.Expr) -> None:
    path = out(workspace, stage) / "index.parquet"
    write_index(path, read_index(path.parent).with_columns(**columns))


@pytest.fixture
def tree(workspace: Workspace) -> Workspace:
    for seed, (split, per_class) in enumerate(PER_CLASS.items()):
        write_real(workspace, split, draw(seed, 2 * per_class))
    describe(workspace, "real_images", classes=2, train=12, validation=4, test=4)
    describe(workspace, "scorer", cross_fitted_accuracy=0.95)
    describe(workspace, "generator_onnx")
    write_json(
        out(workspace, "generator_onnx") / "parity.json",
        {"passed": True, "share_beyond_one": 0.0001, "max_difference": 2, "images": 64},
    )
    usable = {"usable": True, "needed": 0.5, "position": 0.9, "spaces": [], "sentence": "its images lie near real ones"}
    write_json(out(workspace, "generator_onnx") / "usability.json", usable)
    describe(workspace, "expansion_plan")
    classes = [{"name": name, "real": 6, "wanted": 2, "drawn": 3, "limit": 4} for name in NAMES]
    plan = {"wanted": 4, "drawn": 6, "limit": 8, "rounds": 2, "classes": classes}
    write_json(out(workspace, "expansion_plan") / "plan.json", plan)
    write_generated(workspace, [0] * 4 + [1] * 4, [f"g{i}" for i in range(8)])
    write_rounds(workspace, [3, 3], [1, 1])
    describe(workspace, "generated_images", images=8)
    generated = locate_rows(find_shards(out(workspace, "generated_images"), "generated"))
    describe(workspace, "accepted_images", accepted=4, shortfall=0, shortfall_by_class={})
    keep, reasons = [True, True, False, False] * 2, [[], [], ["blank"], ["atypical", "repeat"]] * 2
    accepted = generated.with_columns(keep=pl.Series(keep), reasons=pl.Series(reasons, dtype=pl.List(pl.String)))
    write_index(out(workspace, "accepted_images") / "index.parquet", accepted)
    describe(workspace, "mixed_dataset")
    real = locate_rows(find_shards(out(workspace, "real_images"), "train"))
    mixed = [
        real.with_columns(weight=pl.lit(10.0)),
        accepted.filter("keep").drop("keep", "reasons").with_columns(weight=pl.lit(1.0)),
    ]
    write_index(out(workspace, "mixed_dataset") / "index.parquet", pl.concat(mixed))
    describe(workspace, "verdict")
    write_json(out(workspace, "verdict") / "verdict.json", {"decision": "helps", "sentence": "It helps."})
    return workspace


def examine(tree: Workspace, name: str) -> Finding:
    return run_check(BY_NAME[name], tree, "base")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_check_passes_on_a_good_tree_with_one_sentence(tree: Workspace, check: Check) -> None:
    finding = run_check(check, tree, "base")
    assert finding.passed is True
    assert finding.sentence and "\n" not in finding.sentence
    assert check.examine.__doc__


def test_checks_have_unique_names_and_guard_known_stages() -> None:
    assert len(BY_NAME) == len(CHECKS)
    assert {check.stage for check in CHECKS} <= set(STAGES)


def test_a_failed_check_says_what_to_do() -> None:
    assert all(check.remedy and not check.remedy.endswith(".") for check in CHECKS)
    assert Finding(True, "all is well", remedy="nothing").told == "all is well"
    assert Finding(False, "it is bad", remedy="mend it").told == "it is bad; what to do: mend it"
    assert Finding(False, "It hurts.", remedy="stop").told == "It hurts. What to do: stop."
    assert Finding(False, "it says so itself", remedy="").told == "it says so itself"


def test_the_remedy_of_a_check_comes_with_its_finding(tree: Workspace) -> None:
    assert "; what to do: " not in examine(tree, "quota").told
    change_metrics(tree, "accepted_images", accepted=3, shortfall=1, shortfall_by_class={"Sandal": 1})
    finding = examine(tree, "quota")
    assert finding.told == f"{finding.sentence}; what to do: {BY_NAME['quota'].remedy}"
    write_json(out(tree, "generated_images") / "rounds.json", {"unused": "why", "rounds": []})
    assert examine(tree, "quota").told.endswith("see the check generator_is_usable, which says what would help")


def test_the_page_about_the_ui_lists_every_check_with_its_asset() -> None:
    text = (Path(__file__).parents[3] / "docs" / "ui.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    listed = [(row[0].strip("`"), row[1].strip("`"), row[2] == "yes") for row in rows if len(row) == 4]
    known = [(check.name, check.stage, check.blocking) for check in CHECKS]
    assert listed == [*known, ("remote_verified", "published_dataset", False)]


def test_checks_block_if_a_failure_makes_downstream_work_worthless() -> None:
    free = {check.name for check in CHECKS if not check.blocking}
    assert free == {
        "quota",
        "verdict",
        "generator_is_usable",
        "gate",
        "precision",
        "source_labels",
    }


@pytest.mark.parametrize(("other", "position"), [("validation", 0), ("test", 3)])
def test_training_image_in_another_split_is_found(tree: Workspace, other: str, position: int) -> None:
    images = draw(5, 4)
    images[position] = draw(0, 12)[7]
    write_real(tree, other, images)
    finding = examine(tree, "source_splits")
    assert not finding.passed
    assert finding.figures == {"shared_images": 1}
    assert content_ids(draw(0, 12)[7:8])[0] in finding.sentence


def test_second_copy_is_a_leak_only_in_another_split(tree: Workspace) -> None:
    images = draw(0, 12)
    images[5] = images[2]
    write_real(tree, "train", images)
    assert examine(tree, "source_splits").passed
    write_real(tree, "test", np.concatenate([draw(6, 2), images[[5]], images[[5]]]))
    assert examine(tree, "source_splits").figures == {"shared_images": 1}


@pytest.mark.parametrize(("accuracy", "passed"), [(0.5, False), (0.93, False), (0.94, True)])
def test_scorer_needs_three_standard_errors_above_chance(tree: Workspace, accuracy: float, passed: bool) -> None:
    change_metrics(tree, "scorer", cross_fitted_accuracy=accuracy)
    finding = examine(tree, "scorer_is_usable")  # chance 1/2, 12 images: 0.5 + 3 * 0.1443 = 0.933
    assert finding.passed is passed
    assert finding.figures["needed"] == pytest.approx(0.933, abs=1e-3)


def test_sampler_that_differs_from_its_network_is_found(tree: Workspace) -> None:
    path = out(tree, "generator_onnx") / "parity.json"
    write_json(path, {**read_json(path), "passed": False, "share_beyond_one": 0.25})
    finding = examine(tree, "parity")
    assert not finding.passed
    assert finding.sentence.startswith("25.0000% of pixels differ")


def test_a_generator_that_has_not_learnt_is_refused(tree: Workspace) -> None:
    path = out(tree, "generator_onnx") / "usability.json"
    refused = {"usable": False, "position": 0.1, "sentence": "why", "advice": ["more steps", "more images", "a prior"]}
    write_json(path, {**read_json(path), **refused})
    finding = examine(tree, "generator_is_usable")
    assert not finding.passed
    assert finding.sentence == "generator not used: why; what would help: more steps, more images or a prior"
    assert finding.figures == {"needed": 0.5, "position": 0.1, "spaces": []}


def write_gate(tree: Workspace, **why: str | None) -> None:
    classes = [{"name": name, "why": why.get(name)} for name in NAMES]
    gate = {"classes": classes, "sentence": "what was found", "moved": 1.5, "kept": 0.95}
    write_json(out(tree, "generator_onnx") / "gate.json", gate)


def test_a_class_whose_variants_are_refused_is_named(tree: Workspace) -> None:
    assert examine(tree, "gate").sentence == "its images are not variants of real ones"
    write_gate(tree)
    assert examine(tree, "gate").passed
    write_gate(tree, Sandal="why")
    finding = examine(tree, "gate")
    assert not finding.passed and finding.sentence == "what was found"
    assert finding.figures == {"refused": {"Sandal": "why"}, "moved": 1.5, "kept": 0.95}
    assert "lower `sampler.moves` or `sampler.keeps`" in finding.told


def test_a_refused_class_is_to_have_no_image_and_lacks_none(tree: Workspace) -> None:
    path = out(tree, "generated_images") / "rounds.json"
    record = read_json(path) | {"refused": {"Sandal": "why"}}
    write_json(path, record)
    finding = examine(tree, "generation")
    assert not finding.passed and finding.figures["wrong_classes"] == 1, "its images are there"
    write_generated(tree, [0] * 4, [f"g{i}" for i in range(4)])
    write_json(path, record | {"rounds": [{"drawn": drawn, "shards": []} for drawn in ([3, 0], [1, 0])]})
    assert examine(tree, "generation").passed
    change_index(tree, "accepted_images", keep=pl.col("keep") & (pl.col("label") != 1))
    assert examine(tree, "every_class_grows").passed
    quota = examine(tree, "quota")
    assert quota.passed and quota.sentence.endswith("; none are wanted for Sandal, whose variants are refused")


def test_a_generator_that_the_gate_refuses_everywhere_points_to_both_checks(tree: Workspace) -> None:
    write_gate(tree, Bag="why", Sandal="why")
    write_json(out(tree, "generated_images") / "rounds.json", {"unused": "why", "rounds": []})
    told = examine(tree, "quota").told
    assert told.endswith("see the checks generator_is_usable and gate, which say what would help")


def test_nothing_is_expected_of_a_generator_that_is_not_used(tree: Workspace) -> None:
    write_json(out(tree, "generated_images") / "rounds.json", {"unused": "why", "rounds": []})
    assert not examine(tree, "generation").passed, "its images are there"
    for path in find_shards(out(tree, "generated_images"), "generated"):
        path.unlink()
    write_index(out(tree, "accepted_images") / "index.parquet", read_index(out(tree, "accepted_images")).clear())
    for name, passed in {
        "generation": True,
        "every_class_grows": True,
        "quota": False,
    }.items():
        finding = examine(tree, name)
        assert finding.passed is passed and "the generator" in finding.sentence


@pytest.mark.parametrize(
    ("labels", "ids", "figures"),
    [
        ([0] * 4 + [1] * 3, [f"g{i}" for i in range(7)], {"images": 7, "repeated_ids": 0, "wrong_classes": 1}),
        ([0] * 5 + [1] * 3, [f"g{i}" for i in range(8)], {"images": 8, "repeated_ids": 0, "wrong_classes": 2}),
        ([0] * 4, [f"g{i}" for i in range(4)], {"images": 4, "repeated_ids": 0, "wrong_classes": 1}),
        ([0] * 4 + [1] * 4, [*"abcdefg", "a"], {"images": 8, "repeated_ids": 1, "wrong_classes": 0}),
    ],
    ids=["one missing", "one in the wrong class", "a whole class missing", "an id twice"],
)
def test_incomplete_generation_is_found(
    tree: Workspace, labels: list[int], ids: list[str], figures: dict[str, int]
) -> None:
    write_generated(tree, labels, ids)
    finding = examine(tree, "generation")
    assert not finding.passed
    assert finding.figures == {"rounds": 2, **figures}


def test_more_images_than_the_budget_are_found(tree: Workspace) -> None:
    write_generated(tree, [0] * 5 + [1] * 4, [f"g{i}" for i in range(9)])
    write_rounds(tree, [3, 3], [2, 1])
    assert examine(tree, "generation").figures["wrong_classes"] == 1


def test_generation_without_any_image_is_found(tree: Workspace) -> None:
    for path in find_shards(out(tree, "generated_images"), "generated"):
        path.unlink()
    figures = examine(tree, "generation").figures
    assert figures == {"images": 0, "rounds": 2, "repeated_ids": 0, "wrong_classes": 2}


def test_shortfall_is_found_and_names_the_class(tree: Workspace) -> None:
    change_metrics(tree, "accepted_images", accepted=3, shortfall=1, shortfall_by_class={"Sandal": 1})
    finding = examine(tree, "quota")
    assert not finding.passed
    assert finding.sentence == "3 accepted, 1 too few; Sandal lacks 1"


def test_class_without_an_accepted_image_is_found(tree: Workspace) -> None:
    reasons = pl.when(pl.col("label") == 1).then(pl.lit(["atypical"])).otherwise(pl.col("reasons"))
    change_index(tree, "accepted_images", keep=pl.col("keep") & (pl.col("label") != 1), reasons=reasons)
    finding = examine(tree, "every_class_grows")
    assert not finding.passed
    assert finding.sentence.startswith("1 class has no accepted image: Sandal; ")
    assert finding.sentence.endswith(" are atypical (`growset funnel` shows all reasons)")


def test_class_that_wants_no_images_may_have_none(tree: Workspace) -> None:
    change_index(tree, "accepted_images", keep=pl.col("keep") & (pl.col("label") != 1))
    path = out(tree, "expansion_plan") / "plan.json"
    plan = read_json(path)
    plan["classes"][1]["wanted"] = 0
    write_json(path, plan)
    assert examine(tree, "every_class_grows").passed


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluation_image_in_the_mixture_is_found(tree: Workspace, split: str) -> None:
    held_out = read_rows(find_shards(out(tree, "real_images"), split))["image_id"][1]
    leaked = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit(held_out)).otherwise("image_id")
    change_index(tree, "mixed_dataset", image_id=leaked)
    finding = examine(tree, "leaks")
    assert not finding.passed
    assert finding.figures == {"evaluation_images": 1, "repeated_ids": 0, "bad_weights": 0}


def test_repeated_id_in_the_mixture_is_found(tree: Workspace) -> None:
    change_index(tree, "mixed_dataset", image_id=pl.col("image_id").replace("g0", "g1"))
    assert examine(tree, "leaks").figures["repeated_ids"] == 1


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_weight_that_is_not_positive_is_found(tree: Workspace, weight: float) -> None:
    bad = pl.when(pl.col("image_id") == "g0").then(weight).otherwise("weight")
    change_index(tree, "mixed_dataset", weight=bad)
    finding = examine(tree, "leaks")
    assert not finding.passed
    assert finding.figures["bad_weights"] == 1


@pytest.mark.parametrize(("decision", "passed"), [("helps", True), ("no evidence", True), ("hurts", False)])
def test_the_check_of_the_verdict_fails_only_for_hurts(tree: Workspace, decision: str, passed: bool) -> None:
    path = out(tree, "verdict") / "verdict.json"
    write_json(path, {"decision": decision, "sentence": f"It {decision}."})
    finding = examine(tree, "verdict")
    assert finding.passed is passed
    assert finding.sentence == f"It {decision}."


def test_pictures_with_two_labels_are_counted_by_split(tree: Workspace) -> None:
    metrics = read_manifest(out(tree, "real_images"))["metrics"]
    describe(tree, "real_images", **metrics, disputed={"train": 2, "test": 1})
    finding = examine(tree, "source_labels")
    assert not finding.passed and finding.figures == {"train": 2, "test": 1}
    assert "2 pictures of train and 1 pictures of test have more than one label" in finding.sentence
