"""The chain in folds: what runs, what an interruption keeps, what a refused generator changes; then a real run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from ops.chain import folds
from ops.chain.driver import Chain, validate
from ops.chain.parts import fold_chain
from ops.chain.parts.fold_chain import train_fold
from ops.chain.parts.fold_images import read_pool
from ops.chain.parts.fold_verdict import ENSEMBLE, FoldAnswers, judge_folds, list_counterparts
from ops.chain.parts.reference import LOGGED
from ops.datasets.cross_validation import divide
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.errors import UserError
from ops.files.manifests import read_manifest
from ops.files.outputs import FOLD_ANSWERS, FOLDS, RUNS, VERDICT
from ops.files.storage import read_json, write_json
from ops.recipe.arms import Arm
from ops.recipe.stages import REPEATED, STAGES, upstream
from ops.stages.materialization import Runtime, StageRun, find_staleness
from ops.workspaces.folds import FoldWorkspace
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset, one_core

COUNT = 3


def use_folds(root: Path, more: str = "") -> Workspace:
    path = root / "recipes" / "digits.yaml"
    text = path.read_text().replace("data: {images_per_class: 16}", "data: {}")
    path.write_text(text.replace("verdict: {}", f"verdict: {{folds: {COUNT}{more}}}"))
    return Workspace(root)


def test_a_fold_repeats_every_stage_before_the_verdict() -> None:
    stages = [stage for stage in upstream("verdict") if stage not in ("real_images", "prior", "folds")]
    assert list(REPEATED) == stages
    keys = {key for stage in REPEATED for key in STAGES[stage].keys}
    assert {key.partition(".")[0] for key in keys} <= {key.partition(".")[0] for key in STAGES["folds"].keys}


def test_without_folds_the_stage_does_nothing_and_no_other_key_matters(
    finished_workspace: Path, edit_recipe: Callable[[Path, str, str], None]
) -> None:
    workspace = Workspace(finished_workspace)
    assert read_json(workspace.output("digits", "folds") / FOLDS) == {}
    assert read_manifest(workspace.output("digits", "folds"))["settings"] == {"verdict.folds": None}
    edit_recipe(finished_workspace, "real_weight: 4.0", "real_weight: 5.0")
    assert find_staleness(workspace, "digits", "folds", workspace.load_recipe("digits")) is None
    use_folds(finished_workspace)
    stale = find_staleness(workspace, "digits", "folds", workspace.load_recipe("digits"))
    assert stale is not None and stale.why == "was made from other settings"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("data: {}", "data: {images_per_class: 16}", "verdict.folds divides all images of the source again"),
        ("data: {}", "data: {label_noise: 0.1}", "data.label_noise would change images"),
        ("folds: 3", "folds: 2", "should be greater than or equal to 3"),
        ("folds: 3", "folds: 3, looks: 2", "verdict.looks 2 has no effect with verdict.folds"),
        ("folds: 3", "folds: 3, curve_seeds: 1", "verdict.curve_seeds 1 has no effect with verdict.folds"),
        ("folds: 3", "folds: 3, rehearsal: true", "verdict.rehearsal has no effect with verdict.folds"),
    ],
)
def test_what_folds_cannot_do_is_refused(fresh_workspace: Path, old: str, new: str, words: str) -> None:
    use_folds(fresh_workspace)
    path = fresh_workspace / "recipes" / "digits.yaml"
    path.write_text(path.read_text().replace(old, new).replace("seeds: 2", "seeds: 5"))
    with pytest.raises(UserError, match=words):
        Workspace(fresh_workspace).load_recipe("digits")


def test_a_class_with_too_few_images_is_refused_before_any_compute(
    fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = use_folds(fresh_workspace)
    validate(workspace, "digits")
    monkeypatch.setattr("ops.chain.driver.divide", lambda pool, folds: divide(pool, 500))
    with pytest.raises(UserError, match="verdict.folds 500: class zero has 178 different images"):
        validate(workspace, "digits")


@pytest.fixture
def stored(fresh_workspace: Path) -> Workspace:
    """The stage `real_images` of a recipe with folds has run."""
    workspace = use_folds(fresh_workspace)
    with one_core():
        Chain(workspace).run("digits", "real_images")
    return workspace


def start(workspace: Workspace) -> tuple[FoldWorkspace, Path, np.ndarray]:
    real = workspace.output("digits", "real_images")
    codes = divide(read_pool(real), COUNT)[0]
    return FoldWorkspace(workspace.root, number=1, folds=COUNT, metric="balanced_accuracy"), real, codes


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Builders that only count; every check passes."""
    counts: Counter[str] = Counter()

    def find(stage: str) -> Callable[[StageRun], dict[str, Any]]:
        def build(run: StageRun) -> dict[str, Any]:
            counts[stage] += 1
            write_json(run.out / "seed.json", run.recipe.seed if hasattr(run.recipe, "seed") else None)
            write_json(run.out / "policy.json", {})
            return {}

        return build

    monkeypatch.setattr(fold_chain, "find_builder", find)
    monkeypatch.setattr(fold_chain, "find_refusal", lambda *given: None)
    return counts


def test_an_interrupted_fold_goes_on_after_its_last_finished_stage(
    stored: Workspace, built: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, real, codes = start(stored)
    find = fold_chain.find_builder

    def stop(run: StageRun) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(fold_chain, "find_builder", lambda stage: stop if stage == "generator" else find(stage))
    with pytest.raises(KeyboardInterrupt):
        train_fold(fold, "digits", real, codes, Runtime())
    assert dict(built) == {"expansion_plan": 1, "training_policy": 1, "scorer": 1}
    monkeypatch.setattr(fold_chain, "find_builder", find)
    said: list[str] = []
    trained = train_fold(fold, "digits", real, codes, Runtime(sink=said.append))
    assert trained.refusal is None and dict(built) == dict.fromkeys(REPEATED, 1)
    train_fold(fold, "digits", real, codes, Runtime())
    assert set(built.values()) == {1}
    assert not (stored.root / "data" / "digits" / "scorer").exists()  # its outputs are its own


def test_a_fold_has_its_own_images_seed_and_the_common_metric(stored: Workspace, built: Counter[str]) -> None:
    fold, real, codes = start(stored)
    trained = train_fold(fold, "digits", real, codes, Runtime())
    everything = {name for split in ("train", "validation", "test") for name in read_ids(real, split)}
    own = {split: read_ids(trained.folder("real_images"), split) for split in ("train", "validation", "test")}
    assert sum(map(len, own.values())) == len(everything)
    assert set().union(*own.values()) == everything
    assert len(own["test"]) == pytest.approx(len(everything) / COUNT, abs=1)
    other = FoldWorkspace(stored.root, number=2, folds=COUNT, metric="balanced_accuracy")
    seeds = {each.load_recipe("digits").seed for each in (stored, fold, other)}
    assert len(seeds) == 3
    assert read_json(trained.folder("scorer") / "seed.json") == fold.load_recipe("digits").seed
    assert fold.load_recipe("digits").verdict.metric == "balanced_accuracy"
    assert fold.root == stored.root and fold.area.is_relative_to(stored.root / ".growset")


def read_ids(folder: Path, split: str) -> set[str]:
    return set(read_rows(find_shards(folder, split))["image_id"])


def test_a_refused_generator_leaves_out_what_needs_it_and_nothing_else(
    stored: Workspace, built: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, real, codes = start(stored)
    monkeypatch.setattr(
        fold_chain, "find_refusal", lambda workspace, name, stage: "noise" if stage == "generator_onnx" else None
    )
    said: list[str] = []
    trained = train_fold(fold, "digits", real, codes, Runtime(sink=said.append))
    assert trained.refusal == "noise" and trained.count_accepted() is None
    assert set(built) == {
        "expansion_plan", "training_policy", "scorer", "generator", "generator_onnx", "baseline_classifiers",
    }  # fmt: skip
    assert said == ["fold 1 of 3: nothing generated is used: noise"]


class Fold:
    """A trained fold as `pick_arms` sees it: validation scores of the trained arms, aliases, arms without images."""

    def __init__(
        self, number: int, scores: dict[str, float], aliases: dict[str, str] | None = None, without: str = ""
    ) -> None:
        self.number, self.scores, self.aliases, self.left_out_by_controller = number, scores, aliases or {}, [without]

    def find_trained(self, arm: str) -> str:
        return self.aliases.get(arm, arm)

    def find_entry(self, arm: str) -> dict[str, float] | None:
        score = self.scores.get(self.find_trained(arm))
        return None if score is None else {"validation": score}


def plain(*names: str) -> dict[str, Arm]:
    return dict.fromkeys(names, Arm())


def test_a_placebo_is_never_picked_and_a_refused_fold_answers_for_it_as_the_baseline() -> None:
    trained: Any = [Fold(1, {"real": 0.6, "sham": 0.9, "grown": 0.7}), Fold(2, {"real": 0.6})]
    found = folds.pick_arms(trained, plain("real"), {**plain("grown"), "sham": Arm(placebo="mixed")})
    assert (found.baseline, found.challenger, found.kinds["sham"]) == ("real", "grown", "placebo")
    assert [found.find_source(fold, "sham") for fold in trained] == ["sham", "real"]


def test_arms_are_picked_by_the_mean_over_folds_and_a_refused_fold_counts_as_the_baseline() -> None:
    trained: Any = [
        Fold(1, {"real": 0.5, "mixup": 0.7, "grown": 0.9, "both": 0.6}),
        Fold(2, {"real": 0.9, "mixup": 0.8}),
    ]
    found = folds.pick_arms(trained, plain("mixup", "real"), plain("both", "grown"))
    assert (found.baseline, found.challenger) == ("mixup", "grown")
    assert found.kinds == {"real": "baseline", "mixup": "baseline", "both": "expanded", "grown": "expanded"}
    assert [found.find_source(fold, "grown") for fold in trained] == ["grown", "mixup"]


def test_an_arm_is_an_alias_only_if_it_equals_the_same_arm_in_every_fold() -> None:
    everywhere: Any = [Fold(n, {"real": 0.5, "grown": 0.5}, {"flipped": "real"}) for n in (1, 2)]
    assert folds.pick_arms(everywhere, plain("real", "flipped"), plain("grown")).aliases == {"flipped": "real"}
    somewhere: Any = [everywhere[0], Fold(2, {"real": 0.5, "flipped": 0.9, "grown": 0.5})]
    found = folds.pick_arms(somewhere, plain("real", "flipped"), plain("grown"))
    assert found.aliases == {} and found.baseline == "flipped"
    assert [found.find_source(fold, "flipped") for fold in somewhere] == ["real", "flipped"]


def controlled_arms() -> tuple[dict[str, Arm], dict[str, Arm]]:
    """Baselines and expanded arms of which the controller chooses something for `gentle` and `auto`."""
    keys = {"strength": "auto"}
    gentle, auto = Arm.model_validate(keys), Arm.model_validate(keys | {"real_weight": "auto"})
    return plain("real") | {"gentle": gentle}, plain("grown") | {"auto": auto}


def test_an_arm_that_the_controller_left_without_images_everywhere_is_a_baseline() -> None:
    baselines, expanded = controlled_arms()
    scores = {"real": 0.5, "gentle": 0.6, "grown": 0.7, "auto": 0.9}
    trained: Any = [
        Fold(1, scores, without="auto"), Fold(2, scores, without="auto"), Fold(3, {"real": 0.8, "gentle": 0.6})
    ]  # fmt: skip
    found = folds.pick_arms(trained, baselines, expanded)
    assert (found.baseline, found.challenger, found.kinds["auto"]) == ("auto", "grown", "baseline")
    assert [found.find_source(fold, "auto") for fold in trained] == ["auto", "auto", "gentle"]
    assert [found.find_source(fold, "grown") for fold in trained] == ["grown", "grown", "gentle"]
    somewhere: Any = [trained[0], Fold(2, scores)]
    found = folds.pick_arms(somewhere, baselines, expanded)
    assert (found.baseline, found.challenger, found.kinds["auto"]) == ("gentle", "auto", "expanded")


def tell(tmp_path: Path, *left_out: list[str] | None) -> str:
    """What is told of folds that left out these arms, or used nothing generated."""
    entries = [
        {"not_used": "why" if arms is None else None, **({"left_out": arms} if arms else {})} for arms in left_out
    ]
    write_json(tmp_path / FOLDS, {"folds": entries})
    return FoldAnswers(tmp_path).tell_left_out()


def test_the_sentence_says_in_which_folds_the_controller_left_images_out(tmp_path: Path) -> None:
    end = ": the controller left them out on validation."
    assert tell(tmp_path, [], [], []) == tell(tmp_path, None, None, None) == ""
    assert tell(tmp_path, ["a"], ["a"], None) == f" a learnt from no generated image{end}"
    assert tell(tmp_path, ["a", "b"], ["a"], ["a"]) == (
        f" a learnt from no generated image{end} b learnt from no generated image in 1 of 3 folds{end}"
    )


def test_an_arm_without_images_somewhere_is_in_no_pair(tmp_path: Path) -> None:
    gentle, auto = {"strength": "auto"}, {"strength": "auto", "real_weight": "auto"}
    arms = {name: Arm.model_validate(keys) for name, keys in (("gentle", gentle), ("auto", auto))}
    recipe = SimpleNamespace(
        baselines=plain("real") | {"gentle": arms["gentle"]}, expanded=plain("grown") | {"auto": arms["auto"]}
    )
    run: Any = SimpleNamespace(recipe=recipe)
    facts = {"arms": {}, "folds": [{"not_used": None}, {"not_used": None}]}
    write_json(tmp_path / FOLDS, facts)
    assert list_counterparts(run, FoldAnswers(tmp_path)) == [("auto", "gentle"), ("grown", "real")]
    write_json(tmp_path / FOLDS, facts | {"folds": [{"not_used": None, "left_out": ["auto"]}, {"not_used": None}]})
    assert list_counterparts(run, FoldAnswers(tmp_path)) == [("grown", "real")]


@pytest.fixture(scope="module")
def _folded(_fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A whole run with three folds."""
    import shutil

    root = shutil.copytree(_fresh, tmp_path_factory.mktemp("folded") / "workspace", symlinks=True)
    use_folds(root)
    with one_core():
        result = growset(root, "run", "digits")
    assert result.exit_code == 0, result.output
    yield root


@pytest.mark.slow
def test_a_run_with_folds_tests_every_image_once_and_decides_over_all_of_them(_folded: Path) -> None:
    workspace = Workspace(_folded)
    folder, real = workspace.output("digits", "folds"), workspace.output("digits", "real_images")
    ids = sorted(name for split in ("train", "validation", "test") for name in read_ids(real, split))
    table = pl.read_parquet(folder / FOLD_ANSWERS)
    answers = FoldAnswers(folder)
    assert sorted(answers.images["image_id"]) == ids
    for arm in answers.kinds:
        assert answers.read(arm).shape == (2, len(ids))
    assert table.filter(pl.col("arm").is_in([ENSEMBLE, LOGGED]))["seed"].null_count() == 2 * len(ids)
    found = read_json(workspace.output("digits", "verdict") / VERDICT)
    assert (found["folds"], found["seeds"], found["test_images"]) == (COUNT, 2, len(ids))
    assert "over 3 folds with 2 seeds each" in found["sentence"]
    assert [row["fold"] for row in found["per_fold"]] == [1, 2, 3]
    for row, fold in zip(found["per_fold"], answers.folds, strict=True):
        own = table.filter((pl.col("fold") == row["fold"]) & (pl.col("arm") == found["baseline"]))
        assert row["baseline"] == pytest.approx(own["correct"].mean(), abs=1e-6)
        assert row["images"] == fold["images"] and row["generated"]["accepted"] > 0
    runs = pl.read_parquet(workspace.output("digits", "verdict") / RUNS)
    assert runs.filter(pl.col("arm") == "real")["seed"].unique().sort().to_list() == [0, 1]
    log = [json.loads(line) for line in workspace.evaluations.read_text().splitlines()]
    looks = read_manifest(folder)["metrics"]["fold_looks"]
    assert [record["content"] for record in log] == [entry["test_split"] for entry in looks]
    assert [entry["looks"] for entry in looks] == [1, 1, 1]
    page = (workspace.output("digits", "report") / "report.html").read_text()
    assert "Fold by fold" in page
    assert growset(_folded, "verify", "digits").exit_code == 0


@pytest.mark.slow
def test_what_a_fold_has_made_is_used_again_and_another_confidence_asks_no_network(_folded: Path) -> None:
    workspace = Workspace(_folded)
    path = _folded / "recipes" / "digits.yaml"
    text = path.read_text()
    generator = FoldWorkspace(_folded, number=1, folds=COUNT).output("digits", "generator") / "manifest.json"
    made = generator.stat().st_mtime_ns
    path.write_text(text.replace("verdict: {folds: 3}", "verdict: {folds: 3, confidence: 0.9}"))
    with one_core():
        assert Chain(workspace).run("digits", "folds").reused
    path.write_text(text.replace("real_weight: 4.0", "real_weight: 5.0"))
    with one_core():
        assert not Chain(workspace).run("digits", "folds").reused
    assert generator.stat().st_mtime_ns == made
    looks = read_manifest(workspace.output("digits", "folds"))["metrics"]["fold_looks"]
    assert [entry["looks"] for entry in looks] == [2, 2, 2]
    path.write_text(text)


@pytest.mark.slow
def test_where_every_generator_is_refused_expanded_arms_answer_as_the_baseline_and_nothing_is_evident(
    stored: Workspace, tmp_path: Path
) -> None:
    path = stored.root / "recipes" / "digits.yaml"
    path.write_text(path.read_text().replace("usable_from: null", "usable_from: 0.99"))
    with one_core():
        Chain(stored).run("digits", "prior")
        folder = Chain(stored).run("digits", "folds").folder
    facts = read_json(folder / FOLDS)
    assert all(fold["generated"] is None and fold["not_used"] for fold in facts["folds"])
    answers = FoldAnswers(folder)
    assert (answers.read("expanded") == answers.read(facts["baseline"])).all()
    run: Any = SimpleNamespace(
        inputs={name: stored.output("digits", name) for name in ("folds", "real_images", "generated_images")},
        recipe=stored.load_recipe("digits"),
        runtime=Runtime(),
        out=tmp_path,
    )
    metrics = judge_folds(run)
    assert (metrics["decision"], metrics["difference"], metrics["generator_used"]) == ("no evidence", 0.0, False)
    assert "over 3 folds (3 of them without generated images) with 2 seeds each" in metrics["sentence"]
