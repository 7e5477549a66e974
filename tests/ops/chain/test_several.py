"""Two generators of one recipe through a real chain: the first equals a single generator, the second differs.

Training and exporting a second one takes long, so in all tests but the slow one both stages are handed the only
generator's output for either, under another content for generator 1; every stage after them is real.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ops.chain import generator, generator_onnx
from ops.chain import mixed_dataset as mixed
from ops.chain.checks import CHECKS, run_check
from ops.chain.driver import Chain
from ops.chain.generated_images import fill_slice, plan_slices
from ops.chain.publishing import build_dataset
from ops.classifiers.data import TrainingSet
from ops.classifiers.training import train
from ops.datasets.axes import to_nchw
from ops.datasets.index import read_index
from ops.datasets.mixed import read_mixed
from ops.datasets.pixels import read_shards
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.storage import read_json, write_bytes, write_text
from ops.stages.materialization import Runtime, StageRun
from ops.stages.several import STAGES_OF_EACH, count_generators, place, read_part
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset, one_core

AFTER_THEM = (*STAGES_OF_EACH, "expanded_classifiers", "verdict", "report")


@pytest.fixture(scope="module")
def _doubled(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The finished workspace, continued with two generators."""
    root = copy_and_double(_finished, tmp_path_factory.mktemp("doubled") / "workspace")

    def copy_only_one(run: StageRun, **_: Any) -> dict[str, Any]:
        only = Workspace(_finished).output("digits", run.stage)
        manifest = read_manifest(only)
        for name in manifest["files"]:
            write_bytes(run.out / name, (only / name).read_bytes())
        if run.generator:
            write_text(run.out / "number.txt", str(run.generator))
        return manifest["metrics"]

    with pytest.MonkeyPatch.context() as patch, one_core():
        patch.setattr(generator, "_fit_one", copy_only_one)
        patch.setattr(generator_onnx, "_export_one", copy_only_one)
        run_all(root)
    yield root


def copy_and_double(finished: Path, root: Path) -> Path:
    shutil.copytree(finished, root, symlinks=True)
    recipe = root / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("generator: {", "generator: {seeds: 2, "))
    return root


def run_all(root: Path) -> None:
    chain = Chain(Workspace(root), Runtime(workers=1))
    for stage in AFTER_THEM:
        assert not chain.run("digits", stage).reused


@pytest.fixture
def doubled(_doubled: Path, tmp_path: Path) -> Workspace:
    return Workspace(shutil.copytree(_doubled, tmp_path / "doubled", symlinks=True))


@pytest.mark.slow
def test_two_generators_that_are_really_trained(finished_workspace: Path, tmp_path: Path) -> None:
    """Generator 0 equals a single generator byte for byte; generator 1 has other weights and noise, and passes the same
    checks."""
    root = copy_and_double(finished_workspace, tmp_path / "trained")
    with one_core():
        run_all(root)
    trained = Workspace(root)
    compare_first(trained, Workspace(finished_workspace))
    weights = [load_file(place(trained.output("digits", "generator"), g) / "model.safetensors") for g in (0, 1)]
    assert any(not torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    for check in CHECKS:
        if check.stage in STAGES_OF_EACH and check.blocking:
            assert run_check(check, trained, "digits").passed, check.name


def test_generator_0_equals_a_single_generator(doubled: Workspace, finished_workspace: Path) -> None:
    compare_first(doubled, Workspace(finished_workspace))
    # Its images were not even drawn again.
    drawn = read_part(doubled.output("digits", "generated_images"))["metrics"]
    assert drawn["taken_over"] == drawn["images"]


def compare_first(doubled: Workspace, alone: Workspace) -> None:
    for stage in STAGES_OF_EACH:
        folder = doubled.output("digits", stage)
        assert count_generators(folder) == 2
        first, only = read_part(folder), read_manifest(alone.output("digits", stage))
        assert (first["content"], list(first["files"])) == (only["content"], list(only["files"]))
        assert {k: v for k, v in first["metrics"].items() if k != "taken_over"} == {
            k: v for k, v in only["metrics"].items() if k != "taken_over"
        }


def test_generator_1_has_images_of_its_own(doubled: Workspace) -> None:
    generated = doubled.output("digits", "generated_images")
    first, second = (read_shards(find_shards(place(generated, g), "generated")) for g in (0, 1))
    size = min(len(first), len(second))
    assert not np.array_equal(first.images[:size], second.images[:size])
    assert set(first.rows["image_id"]).isdisjoint(second.rows["image_id"])
    ids = [set(read_index(place(doubled.output("digits", "accepted_images"), g))["image_id"]) for g in (0, 1)]
    assert ids == [set(first.rows["image_id"]), set(second.rows["image_id"])]


def test_metrics_are_totals_and_those_of_each(doubled: Workspace) -> None:
    metrics = read_manifest(doubled.output("digits", "accepted_images"))["metrics"]
    first, second = metrics["generators"]
    for name in ("generated", "accepted", "shortfall", "rejected_wrong_label"):
        assert metrics[name] == first[name] + second[name]
    assert metrics["accept_rate"] == pytest.approx((first["accept_rate"] + second["accept_rate"]) / 2, abs=1e-6)
    for name, lacking in metrics["shortfall_by_class"].items():
        assert lacking == sum(part["shortfall_by_class"].get(name, 0) for part in (first, second))
    assert read_part(place(doubled.output("digits", "accepted_images"), 1))["metrics"] == second


def test_each_seed_is_trained_on_the_mixed_dataset_of_its_generator(doubled: Workspace) -> None:
    folders = {stage: doubled.output("digits", stage) for stage in ("real_images", *AFTER_THEM)}
    entry = read_json(folders["expanded_classifiers"] / "results.json")["arms"]["expanded"]
    kept = load_file(folders["expanded_classifiers"] / "expanded.safetensors")
    recipe = doubled.load_recipe("digits")
    assert list(entry["per_seed"]) == ["0", "1"]
    for seed in (0, 1):
        index = read_index(place(folders["mixed_dataset"], seed))
        data = read_mixed(index, folders["real_images"], place(folders["generated_images"], seed))
        by_hand = train(
            TrainingSet(
                torch.from_numpy(to_nchw(data.images)), torch.from_numpy(data.labels.copy()),
                index["weight"].to_numpy(), 2,
            ),
            recipe.expanded["expanded"], recipe.classifier,
            **entry["setting"], seed=seed,
        ).state_dict()  # fmt: skip
        own = {key.removeprefix(f"{seed}/"): value for key, value in kept.items() if key.startswith(f"{seed}/")}
        assert own.keys() == by_hand.keys()
        assert all(torch.equal(own[key], by_hand[key]) for key in own)


def test_finished_work_of_a_generator_is_not_repeated_after_a_kill(
    doubled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, calls = doubled.output("digits", "mixed_dataset"), list[int]()
    content, mix = read_manifest(folder)["content"], mixed._mix_one
    shutil.rmtree(folder)

    def stop_at_1(run: StageRun) -> dict[str, Any]:
        calls.append(run.generator)
        if calls == [0, 1]:
            raise KeyboardInterrupt
        return mix(run)

    monkeypatch.setattr(mixed, "_mix_one", stop_at_1)
    chain = Chain(doubled, Runtime(workers=1))
    with pytest.raises(KeyboardInterrupt):
        chain.run("digits", "mixed_dataset")
    assert not folder.exists()
    assert chain.run("digits", "mixed_dataset").manifest["content"] == content
    assert calls == [0, 1, 1]


def test_slices_draw_for_all_generators(doubled: Workspace) -> None:
    folder, runtime = doubled.output("digits", "generated_images"), Runtime(workers=1)
    content = read_manifest(folder)["content"]
    shutil.rmtree(folder)
    count = plan_slices(doubled, "digits", 2)
    assert count == 2
    drawn = [fill_slice(doubled, "digits", index, 2, runtime) for index in range(count)]
    assert sum(drawn) == 2 * 96
    assert fill_slice(doubled, "digits", 0, 2, runtime) == 0
    outcome = Chain(doubled, runtime).run("digits", "generated_images")
    assert outcome.manifest["content"] == content
    assert plan_slices(doubled, "digits", 2) == 0


def test_a_new_threshold_draws_no_image_again_for_any_generator(
    doubled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = doubled.recipe_path("digits")
    recipe.write_text(recipe.read_text().replace("wrong_label: {threshold: 0.05}", "wrong_label: null"))
    monkeypatch.setattr("ops.drawing.pieces._draw_piece", None)  # calling it would fail
    chain = Chain(doubled, Runtime(workers=1))
    metrics = chain.run("digits", "generated_images").manifest["metrics"]
    assert metrics["taken_over"] == metrics["images"] == sum(part["images"] for part in metrics["generators"])
    assert chain.run("digits", "accepted_images").manifest["metrics"]["rejected_wrong_label"] == 0


def test_keep_generator_keeps_all_generators(doubled: Workspace) -> None:
    recipe = doubled.recipe_path("digits")
    recipe.write_text(recipe.read_text().replace("on_new_images: retrain", "on_new_images: keep_generator"))
    before = read_manifest(doubled.output("digits", "generator"))
    outcome = Chain(doubled, Runtime(workers=1)).run("digits", "generator")
    assert outcome.reused and outcome.manifest["content"] == before["content"]
    assert count_generators(outcome.folder) == 2


def test_a_check_examines_each_generator(doubled: Workspace) -> None:
    check = next(check for check in CHECKS if check.name == "generation")
    finding = run_check(check, doubled, "digits")
    assert finding.passed
    assert "generator 0: " in finding.sentence and "; generator 1: " in finding.sentence
    for path in find_shards(place(doubled.output("digits", "generated_images"), 1), "generated")[:1]:
        rounds = path.with_name("rounds.json")
        rounds.write_text(rounds.read_text().replace("48", "47"))
    damaged: Mapping[str, Any] = run_check(check, doubled, "digits").figures
    assert not run_check(check, doubled, "digits").passed
    assert [part["wrong_classes"] for part in damaged["generators"]] == [0, 2]


def test_the_funnel_has_a_line_for_each_generator(doubled: Workspace) -> None:
    result = growset(doubled.root, "funnel", "digits")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output[result.output.index("2 generators") :].splitlines()]
    first, second = read_manifest(doubled.output("digits", "accepted_images"))["metrics"]["generators"]
    assert [row[:2] for row in rows[-2:]] == [["0", f"{first['generated']}"], ["1", f"{second['generated']}"]]
    found = json.loads(growset(doubled.root, "funnel", "digits", "--json").stdout)
    assert [line["accepted"] for line in found["generators"]] == [first["accepted"], second["accepted"]]
    assert found["accepted"] == first["accepted"]


def test_each_generator_can_draw_more_on_its_own(doubled: Workspace, tmp_path: Path) -> None:
    folder = doubled.output("digits", "generator_onnx")
    drawn = []
    for number, name in enumerate(("digits", str(place(folder, 1)))):
        result = growset(doubled.root, "generate", name, "--count", "4", "--out", str(tmp_path / str(number)))
        assert result.exit_code == 0, result.output
        drawn.append(read_shards(sorted(tmp_path.glob(f"{number}/**/*.parquet"))).images)
    assert drawn[0].shape == drawn[1].shape == (4, 16, 16, 1)
    sampler = place(folder, 1) / "sampler_1.onnx"
    sampler.write_bytes(sampler.read_bytes() + b"\0")
    result = growset(doubled.root, "generate", str(place(folder, 1)), "--count", "4", "--out", str(tmp_path / "2"))
    assert result.exit_code == 2 and f"{sampler} is not what was exported" in result.output


def test_the_first_set_is_published(doubled: Workspace, tmp_path: Path) -> None:
    """The dataset equals that of a single generator; the card states that the verdict covers two."""
    metrics = build_dataset(doubled, "digits", doubled.load_recipe("digits"), tmp_path / "published")
    kept = read_index(doubled.output("digits", "accepted_images")).filter("keep")
    rows = read_shards(find_shards(tmp_path / "published" / "data", "train")).rows.filter("is_generated")
    assert rows["image_id"].to_list() == kept["image_id"].to_list() and len(rows) == metrics["generated"]
    assert "measured over 2 generators of this recipe" in (tmp_path / "published" / "README.md").read_text()


def test_the_verdict_and_the_report_cover_both_generators(doubled: Workspace) -> None:
    verdict = read_json(doubled.output("digits", "verdict") / "verdict.json")
    assert verdict["generators"] == 2
    assert "for another generator of this recipe (2 were trained)" in verdict["sentence"]
    page = (doubled.output("digits", "report") / "report.html").read_text()
    assert "<strong>2 generators of this recipe were trained</strong>" in page
