"""Variants through the whole chain: K per seed image, a kill, a new threshold, two workers, publication."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ops.chain.checks import CHECKS, run_check
from ops.chain.driver import Chain
from ops.chain.generated_images import fill_slice, plan_slices
from ops.chain.parts.examples import read_mixed_sets
from ops.chain.parts.fold_chain import find_refusal as find_fold_refusal
from ops.chain.parts.rounds import describe_origin
from ops.chain.parts.units import find_source
from ops.chain.publishing import build_dataset, find_refusal
from ops.datasets.index import read_index
from ops.datasets.pixels import read_rows, read_shards, read_split, write_shards
from ops.datasets.shards import find_shards
from ops.drawing import assembly, pieces
from ops.files.hashing import hash_json
from ops.files.manifests import join_hashes, read_manifest
from ops.files.outputs import QUALITY
from ops.files.storage import read_json
from ops.filters.results import read_results
from ops.generators import registry
from ops.generators.feeds import SeedImages, make_feeds
from ops.generators.units import Run, Unit
from ops.recipe import kinds as settings
from ops.recipe.arms import Arm
from ops.recipe.rehearsal import shrink
from ops.recipe.stages import STAGES
from ops.report.galleries import collect_galleries
from ops.report.measures import collect_measures
from ops.report.page import collect_facts, render_page
from ops.stages.materialization import Runtime
from ops.verification.verification import verify
from ops.workspaces.workspace import Workspace
from tests.chains import assert_checked
from tests.perturb import perturb, register
from tests.workspaces import growset, one_core, user_environment

EACH, DRAWN = 2, 6  # variants wanted, and drawn at first, of each of 32 seed images
EDITS = (
    ("ratio: 1.0, overdraw: 3.0, rounds: 2", f"ratio: {EACH}.0, overdraw: 3.0, rounds: 1"),
    ("near_repeat: {threshold: 0.25}", "near_repeat: {threshold: 0.02}"),
    ("  expanded: {}", "  expanded: {}\n  git: {sampler: class_balanced, variants: {kind: git, start: 0.5}}"),
)
FROM_EXPORT = ("generator_onnx", "generated_images", "accepted_images", "mixed_dataset")
Edit = Callable[[Path, str, str], None]


@pytest.fixture(scope="module", autouse=True)
def _known() -> Iterator[None]:
    """Register the kind for this module's tests only."""
    register()
    yield
    del registry.KINDS["perturb"], settings.KINDS["perturb"]


@pytest.fixture(scope="module")
def _varied(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = shutil.copytree(_finished, tmp_path_factory.mktemp("varied") / "workspace", symlinks=True)
    prepare(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "WORKER_SHARE", 50)  # by default so few images are drawn by one worker
        patch.setattr(assembly, "piece_size", lambda *_: 16)
        with one_core():
            result = growset(root, "run", "digits", "--workers", "2")
    assert result.exit_code == 0, result.output
    return root


def prepare(root: Path, kind: str = "{kind: perturb, strength: 20.0}") -> None:
    """Change the recipe to draw variants."""
    path = root / "recipes" / "digits.yaml"
    lines = path.read_text().splitlines()
    changed = {"generator": kind, "sampler": "{usable_from: null}"}
    text = "\n".join(f"{key}: {changed[key]}" if (key := line.partition(":")[0]) in changed else line for line in lines)
    for old, new in EDITS:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text + "\n")


@pytest.fixture
def workspace(_varied: Path, tmp_path: Path) -> Workspace:
    """A copy of a workspace in which the chain has run."""
    return Workspace(shutil.copytree(_varied, tmp_path / "workspace", symlinks=True))


def out(workspace: Workspace, stage: str) -> Path:
    return workspace.output("digits", stage)


def run_stages(workspace: Workspace, *stages: str, workers: int = 1) -> list[dict]:
    chain = Chain(workspace, Runtime(workers=workers))
    with one_core():
        return [chain.run("digits", stage).manifest["metrics"] for stage in stages]


def test_each_seed_image_has_its_variants_and_published_rows_name_their_parents(workspace: Workspace) -> None:
    train = read_rows(find_shards(out(workspace, "real_images"), "train"))
    labels = dict(zip(train["image_id"], train["label"], strict=True))
    drawn = read_rows(find_shards(out(workspace, "generated_images"), "generated"))
    assert drawn["parent_id"].value_counts()["count"].to_list() == [DRAWN] * 32
    assert [labels[parent] for parent in drawn["parent_id"]] == drawn["label"].to_list()
    assert drawn["image_id"].n_unique() == len(drawn)
    assert all(
        f"-{parent}-{k:07d}" in name for name, parent, k in drawn.select("image_id", "parent_id", "k").iter_rows()
    )
    index = read_index(out(workspace, "accepted_images"))
    assert index["parent_id"].to_list() == drawn["parent_id"].to_list()
    kept = index.filter("keep")["parent_id"].value_counts()
    assert kept["count"].max() == EACH
    assert index.filter(pl.col("reasons").list.contains("surplus"))["parent_id"].is_in(
        kept.filter(pl.col("count") == EACH)["parent_id"].implode()
    ).all()  # fmt: skip
    record = read_json(out(workspace, "accepted_images") / "rounds.json")
    assert record["parents"] == list(dict.fromkeys(drawn["parent_id"]))
    assert len(record["stopped"]) == 2 and len(record["rounds"][0]["drawn"]) == 32

    published = read_shards(find_shards(workspace.published("digits") / "data", "train")).rows
    generated = published.filter("is_generated")
    assert generated["parent_id"].to_list() == index.filter("keep")["parent_id"].to_list()
    assert published.filter(~pl.col("is_generated"))["parent_id"].is_null().all()
    assert verify(workspace, "digits", workers=1).findings == []
    assert_checked(workspace)
    assert growset(workspace.root, "funnel", "digits").exit_code == 0


def test_variants_are_not_measured_in_features_trained_on_their_parents(workspace: Workspace) -> None:
    accepted = out(workspace, "accepted_images")
    assert {measure["extractor"] for measure in read_json(accepted / QUALITY)} == {"random"}
    assert not [name for name in read_manifest(accepted)["metrics"] if name.endswith("_scorer")]
    assert collect_measures(accepted, ["a", "b"])["extractors"] == ["random"]


def test_an_arm_shows_them_in_the_places_of_their_parents_and_counts_them_exactly(workspace: Workspace) -> None:
    shown = read_json(out(workspace, "expanded_classifiers") / "results.json")["arms"]["git"]["variants"]
    assert shown["images"] == [16, 16] and shown["total"]["shown"] == sum(shown["shown"]) == 20 * 16
    kept = read_index(out(workspace, "accepted_images")).filter("keep")
    bare = [16 - kept.filter(pl.col("label") == label)["parent_id"].n_unique() for label in range(2)]
    assert shown["without_variant"] == bare
    assert sum(shown["variants"]) == shown["total"]["variants"] <= 10 * 8
    assert bool(sum(bare)) == (shown["total"]["variants"] < 10 * 8)
    assert max(shown["different"]) <= EACH
    others = read_json(out(workspace, "expanded_classifiers") / "results.json")["arms"]["expanded"]
    assert "variants" not in others


def test_variants_drawn_in_the_training_are_the_stored_ones_and_then_the_next_ones(workspace: Workspace) -> None:
    inputs = {stage: out(workspace, stage) for stage in ("real_images", "generated_images", "mixed_dataset")}
    arms = {
        source: Arm.model_validate({"variants": {"kind": "git", "source": source}}) for source in ("stored", "drawn")
    }
    (examples,) = read_mixed_sets(inputs, arms, 0)
    sets = {source: examples.build_set(arm, 2, 0) for source, arm in arms.items()}
    stored, drawn = (sets[source].variants for source in ("stored", "drawn"))
    assert stored is not None and drawn is not None and stored.keys == drawn.keys
    counts, keys = stored.transform.count(stored.keys), stored.keys
    np.testing.assert_array_equal(counts > 0, drawn.transform.count(keys) > 0)
    rows = [row for row, count in enumerate(counts.tolist()) for _ in range(count)]
    ks = np.concatenate([np.arange(count) for count in counts])
    seeds = sets["stored"].images.permute(0, 2, 3, 1).numpy()
    asked = seeds[rows], [keys[row] for row in rows], ks
    np.testing.assert_array_equal(stored.transform.apply(*asked), drawn.transform.apply(*asked))
    first = rows[0]
    fresh = drawn.transform.apply(seeds[[first]], [keys[first]], counts[[first]])
    feeds = make_feeds(
        ("image", "noise", "label"), (1, 16, 16),
        [Run(Unit(keys[first], int(sets["drawn"].labels[first]), keys[first]), DRAWN)], seed=0,
        seeds=SeedImages(seeds[[first]], [keys[first]], np.array([0])),
    )  # fmt: skip
    np.testing.assert_array_equal(fresh, perturb(feeds, 20.0))


def test_nearness_to_the_parent_rejects_nothing_unless_the_recipe_says_so(workspace: Workspace) -> None:
    index = read_index(out(workspace, "accepted_images"))
    assert (index["parent_distance"] < index["train_distance"]).mean() > 0.9
    assert (index["parent_id"] == index["nearest_train_id"]).sum() == 0
    flagged = index["reasons"].explode().value_counts()
    assert "near_copy_of_parent" not in flagged["reasons"].to_list()
    assert index.filter("keep")["parent_distance"].min() < 0.3  # which is where this recipe cuts near copies


def test_another_threshold_rewrites_the_index_without_drawing_or_scoring(
    workspace: Workspace, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_index(out(workspace, "accepted_images"))
    content = read_manifest(out(workspace, "generated_images"))["content"]
    limit = float(np.quantile(before["parent_distance"], 0.3))
    edit_recipe(workspace.root, "near_copy:", f"near_parent: {{threshold: {limit:.6f}}}, near_copy:")
    monkeypatch.setattr("ops.drawing.pieces._draw_piece", None)
    monkeypatch.setattr("ops.chain.parts.scoring.read_shards", None)
    drawn, cut = run_stages(workspace, "generated_images", "accepted_images")
    assert drawn["taken_over"] == drawn["images"] == 32 * DRAWN
    assert read_manifest(out(workspace, "generated_images"))["content"] == content
    after = read_index(out(workspace, "accepted_images"))
    near = after["reasons"].list.contains("near_copy_of_parent")
    assert near.to_list() == (before["parent_distance"] < round(limit, 6)).to_list()
    assert cut["rejected_near_copy_of_parent"] == near.sum() > 30
    inputs = {stage: out(workspace, stage) for stage in ("real_images", "generated_images")}
    results = read_results(out(workspace, "accepted_images"), out(workspace, "expansion_plan"))
    (shown,) = [each for each in collect_galleries(results, inputs) if each["reason"] == "near_copy_of_parent"]
    assert shown["shows_resembled"] and all(
        "the seed image that it resembles" in item["alt"] for item in shown["items"]
    )
    assert results.copying.whole.near_generated is not None


def test_a_class_that_the_gate_refuses_gets_no_variants_and_report_and_card_say_so(
    workspace: Workspace, edit_recipe: Edit, tmp_path: Path
) -> None:
    gate = read_json(out(workspace, "generator_onnx") / "gate.json")
    assert gate["named"] >= 20 and gate["kept"] >= 0.9 and [entry["images"] for entry in gate["classes"]] == [16, 16]
    still, moved = sorted(gate["classes"], key=lambda entry: entry["moved"])
    limit = (still["moved"] + moved["moved"]) / 2
    edit_recipe(workspace.root, "usable_from: null", f"usable_from: null, moves: {limit:.6f}, keeps: null")
    export, drawn, kept, mixed = run_stages(workspace, *FROM_EXPORT)
    assert export["classes_refused"] == 1 and export["variants_moved"] == gate["moved"]
    assert drawn["images"] == 16 * DRAWN and kept["accepted"] == mixed["generated"] > 0
    label = ["zero", "one"].index(moved["name"])
    rows = read_rows(find_shards(out(workspace, "generated_images"), "generated"))
    assert set(rows["label"]) == {label} and still["name"] not in kept["shortfall_by_class"]
    stopped = read_json(out(workspace, "accepted_images") / "rounds.json")["stopped"]
    assert [stop == "refused" for stop in stopped] == [label == 1, label == 0]

    findings = {check.name: run_check(check, workspace, "digits") for check in CHECKS}
    assert (
        not findings["gate"].passed and f"1 of 2 classes gets no variants: {still['name']} (" in findings["gate"].told
    )
    assert all(findings[name].passed for name in ("generation", "every_class_grows"))
    why = read_json(out(workspace, "generated_images") / "rounds.json")["refused"][still["name"]]
    assert f"; none are wanted for {still['name']}, " in findings["quota"].sentence
    results = read_results(out(workspace, "accepted_images"), out(workspace, "expansion_plan"))
    assert results.funnel.wanted == 16 * EACH and results.plan[1 - label].real == 16
    inputs = {stage: out(workspace, stage) for stage in STAGES["report"].inputs}
    recipe = workspace.load_recipe("digits")
    page = render_page(collect_facts(workspace, "digits", inputs, recipe.report))
    assert f'<td class="text">refused: {why}</td>' in page and page.count('<td class="text">used</td>') == 1
    assert '<td class="text">its variants are refused</td>' in page
    build_dataset(workspace, "digits", recipe, tmp_path / "published")
    card = (tmp_path / "published" / "README.md").read_text(encoding="utf-8")
    assert f"because the gate refused their variants: {still['name']}: {why}.\n" in card


def test_a_generator_that_the_gate_refuses_for_all_classes_is_not_used(workspace: Workspace, edit_recipe: Edit) -> None:
    edit_recipe(workspace.root, "usable_from: null", "usable_from: null, moves: 255.0")
    _, drawn, _, mixed = run_stages(workspace, *FROM_EXPORT)
    assert drawn["images"] == mixed["generated"] == 0 and plan_slices(workspace, "digits", 3) == 0
    findings = {check.name: run_check(check, workspace, "digits") for check in CHECKS}
    assert [name for name in ("gate", "quota", "generation", "every_class_grows") if not findings[name].passed] == [
        "gate", "quota",
    ]  # fmt: skip
    assert "generator was not used" in str(find_refusal(workspace, "digits"))
    why = find_fold_refusal(workspace, "digits", "generated_images")
    assert why is not None and why.startswith("2 of 2 classes get no variants: ")


def test_a_rehearsal_asks_nothing_of_variants(workspace: Workspace) -> None:
    changes = shrink(workspace.load_recipe("digits"), "small", workspace.root)
    assert changes["sampler.moves"] is None and changes["sampler.keeps"] is None


def test_a_second_round_draws_only_for_seed_images_that_are_short_and_continues_their_numbers(
    workspace: Workspace, edit_recipe: Edit
) -> None:
    before = read_index(out(workspace, "accepted_images"))
    limit = float(np.quantile(before["parent_distance"], 0.8))
    edit_recipe(workspace.root, "near_copy:", f"near_parent: {{threshold: {limit:.6f}}}, near_copy:")
    edit_recipe(workspace.root, "rounds: 1", "rounds: 2")
    _, drawn, _ = run_stages(workspace, "expansion_plan", "generated_images", "accepted_images")
    assert drawn["taken_over"] == 32 * DRAWN < drawn["images"]
    first, second = read_json(out(workspace, "accepted_images") / "rounds.json")["rounds"]
    for accepted, more in zip(first["accepted"], second["drawn"], strict=True):
        assert (more == 0) == (accepted >= EACH)
    rows = read_rows(find_shards(out(workspace, "generated_images"), "generated"))
    for _, own in rows.group_by("parent_id"):
        assert own["k"].sort().to_list() == list(range(len(own)))


KILLED = """
import os, signal, sys
from ops.drawing import assembly, pieces
from tests.perturb import perturb, register
from pipelines.cli.main import main

register()
assembly.piece_size = lambda *_: 16
draw, done = pieces._draw_piece, []

def draw_and_die(piece):
    done.append(piece)
    if len(done) > 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return draw(piece)

pieces._draw_piece = draw_and_die
main()
"""


@pytest.mark.slow
def test_a_run_that_is_killed_while_it_draws_is_completed_with_the_same_bytes(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = read_manifest(out(workspace, "generated_images"))["content"]
    shutil.rmtree(out(workspace, "generated_images"))
    command = [sys.executable, "-c", KILLED, "--workspace", str(workspace.root), "run", "digits", "--workers", "1"]
    killed = subprocess.run(command, env=user_environment(), capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -9, killed.stderr
    left = sorted(path.name for path in workspace.root.glob(".growset/staging/*/round-0/pieces/*.npy"))
    assert len(left) == 5

    drawn = []
    draw = pieces._draw_piece
    monkeypatch.setattr(assembly, "piece_size", lambda *_: 16)
    monkeypatch.setattr(pieces, "_draw_piece", lambda piece: drawn.append(piece.file_name) or draw(piece))
    run_stages(workspace, "generated_images")
    assert len(drawn) == 32 * DRAWN // 16 - 5 and not set(drawn) & set(left)
    assert read_manifest(out(workspace, "generated_images"))["content"] == content


def test_the_drawer_in_torch_draws_the_same_variants_in_the_chain(workspace: Workspace) -> None:
    def read() -> np.ndarray:
        return read_shards(find_shards(out(workspace, "generated_images"), "generated")).images

    before = read()
    path = workspace.root / "recipes" / "digits.yaml"
    path.write_text(path.read_text().replace("strength: 20.0}", "strength: 20.0, drawer: torch}"))
    run_stages(workspace, "generator", "generator_onnx", "generated_images")
    assert read_json(out(workspace, "generator_onnx") / "config.json")["drawer"] == "torch"
    np.testing.assert_array_equal(read(), before)


def test_changed_seed_images_are_not_confused_with_the_former_ones(workspace: Workspace, edit_recipe: Edit) -> None:
    """With one seed image less, its variants are gone; all others are drawn again, with the same pixels."""
    before = read_shards(find_shards(out(workspace, "generated_images"), "generated"))
    edit_recipe(workspace.root, "images_per_class: 16", "images_per_class: 15")
    *_, drawn = run_stages(workspace, *list(STAGES)[: 1 + list(STAGES).index("generated_images")])
    assert (drawn["images"], drawn["taken_over"]) == (30 * DRAWN, 0)
    after = read_shards(find_shards(out(workspace, "generated_images"), "generated"))
    kept = before.rows["parent_id"].is_in(after.rows["parent_id"].implode())
    np.testing.assert_array_equal(after.images, before.select(kept.to_numpy()).images)


def test_slices_draw_the_first_round_and_the_stage_only_collects(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = read_manifest(out(workspace, "generated_images"))["content"]
    shutil.rmtree(out(workspace, "generated_images"))
    monkeypatch.setattr(assembly, "piece_size", lambda *_: 16)
    runtime = Runtime(workers=1)
    assert plan_slices(workspace, "digits", 3) == 3
    drawn = [fill_slice(workspace, "digits", index, 3, runtime) for index in (2, 0, 1)]
    assert sum(drawn) == 32 * DRAWN and min(drawn) > 0
    monkeypatch.setattr(pieces, "_draw_piece", None)
    run_stages(workspace, "generated_images")
    assert read_manifest(out(workspace, "generated_images"))["content"] == content


def test_the_origin_of_variants_includes_their_seed_images(workspace: Workspace) -> None:
    inputs = {stage: out(workspace, stage) for stage in ("real_images", "expansion_plan", "generator_onnx")}
    source = find_source(inputs)
    train = read_rows(find_shards(inputs["real_images"], "train"))
    assert sorted(unit.parent or "" for unit in source.units) == train["image_id"].sort().to_list()
    origin = describe_origin(inputs, 7, source)
    record = read_json(out(workspace, "generated_images") / "rounds.json")
    assert record["drawn_by"] == describe_origin(inputs, workspace.load_recipe("digits").seed, source)
    assert origin != describe_origin(inputs, 7, replace(source, content="others"))
    bare = replace(source, content=None, seeds=None)
    files = {
        k: v
        for k, v in read_manifest(inputs["generator_onnx"])["files"].items()
        if k not in ("usability.json", "gate.json")
    }
    assert describe_origin(inputs, 7, bare) == hash_json([join_hashes(files), 7])


def test_seed_images_in_another_order_are_another_origin(workspace: Workspace, tmp_path: Path) -> None:
    """A round's counts are in the order of the seed images, so a round of another order is not reused."""
    inputs = {stage: out(workspace, stage) for stage in ("real_images", "expansion_plan", "generator_onnx")}
    train = read_split(inputs["real_images"], "train")
    write_shards(tmp_path / "turned", train.select(np.arange(len(train))[::-1]), prefix="train")
    one, other = find_source(inputs), find_source({**inputs, "real_images": tmp_path / "turned"})
    assert set(one.units) == set(other.units) and one.units != other.units
    assert describe_origin(inputs, 7, one) != describe_origin(inputs, 7, other)
