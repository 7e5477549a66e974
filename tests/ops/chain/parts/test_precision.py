"""A faster variant is used only if its images are as good as fp32's, and the decision is reported."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import pytest
from torch import Tensor

from ops.chain.findings import precision_was_accepted
from ops.chain.parts.precision import add_variant
from ops.files.manifests import read_manifest
from ops.files.outputs import PRECISION
from ops.files.storage import read_json
from ops.generators.folder import find_fastest, find_sampler
from ops.generators.onnx.engine import Sampler
from ops.judging.judge import Judge
from ops.workspaces.workspace import Workspace
from tests.chains import exported_before, run_stages
from tests.perturb import build_perturb, draw_seeds


class Distances:
    """A judge that returns the given distances in order; fp32 comes first."""

    def __init__(self, *answers: float) -> None:
        self.answers = list(answers)
        self.parents: list[np.ndarray | None] = []

    def frechet(self, images: Tensor, parents: np.ndarray | None = None) -> float:
        assert images.shape[1:] == (1, 16, 16)
        self.parents.append(parents)
        return self.answers.pop(0)


@pytest.fixture
def folder(finished_workspace: Path, tmp_path: Path) -> Path:
    """A generator directory of its own."""
    return Path(
        shutil.copytree(Workspace(finished_workspace).output("digits", "generator_onnx"), tmp_path / "generator")
    )


def add(folder: Path, precision: str, *answers: float) -> tuple[bool, list[str]]:
    lines: list[str] = []
    judge = cast(Judge, Distances(*answers)) if answers else None
    sampler, scratch = find_sampler(folder), folder.parent
    decision = add_variant(folder, sampler, precision, judge, scratch, labels=np.arange(9) % 2, sink=lines.append)
    assert read_json(folder / PRECISION) == decision
    return decision["accepted"], lines


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_variant_as_good_as_fp32_replaces_it(precision: str, folder: Path) -> None:
    accepted, lines = add(folder, precision, 2.0, 2.08)
    assert accepted
    fastest = find_fastest(folder)
    assert fastest.name == f"sampler_1.{precision}.onnx"
    assert Sampler(fastest).info.precision == precision
    assert find_sampler(folder).name == "sampler_1.onnx"
    assert lines[-1].endswith(
        f"{precision} is accepted: its Fréchet distance is 1.040 times that of fp32, at most 1.05 is allowed"
    )
    assert precision_was_accepted(lambda stage: folder).passed


def test_a_worse_variant_is_not_kept_and_its_check_fails(folder: Path) -> None:
    accepted, _ = add(folder, "int8", 2.0, 2.2)
    assert not accepted
    assert find_fastest(folder) == find_sampler(folder)
    assert not list(folder.parent.glob("*.onnx"))
    finding = precision_was_accepted(lambda stage: folder)
    assert not finding.passed
    assert "int8: its Fréchet distance is 1.100 times that of fp32" in finding.sentence


def test_variants_of_seed_images_are_judged_with_their_parents(tmp_path: Path) -> None:
    """Parents have the label of their variants, and each seed image takes its turn."""
    onnx.save(build_perturb((1, 16, 16), ("a", "b")), tmp_path / "sampler.onnx")
    (tmp_path / "scratch").mkdir()
    judge, seeds = Distances(2.0, 2.0), draw_seeds((1, 16, 16), [0, 1, 1])
    sampler, scratch = tmp_path / "sampler.onnx", tmp_path / "scratch"
    labels = np.array([0, 0, 0, 1])
    add_variant(
        tmp_path, sampler, "fp16", cast(Judge, judge), scratch, labels=labels, sink=lambda line: None, seeds=seeds
    )
    one, other = judge.parents
    assert one is not None and other is not None
    assert np.bincount(seeds.labels[one]).tolist() == [1536, 512], "in the class shares of the validation images"
    np.testing.assert_array_equal(one, other)
    assert set(one.tolist()) == {0, 1, 2}


def test_without_a_judge_nothing_is_accepted(folder: Path) -> None:
    accepted, _ = add(folder, "int8")
    assert not accepted
    assert "too few validation images" in precision_was_accepted(lambda stage: folder).sentence


def test_fp32_is_not_compared_with_anything(folder: Path) -> None:
    assert not (folder / PRECISION).exists()
    assert precision_was_accepted(lambda stage: folder).passed


def test_the_chain_draws_with_the_accepted_variant_and_reports_it(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    recipe = workspace.recipe_path("digits")
    recipe.write_text(recipe.read_text().replace("solver: euler}", "solver: euler, precision: int8}"))
    with exported_before(workspace):
        run_stages(workspace, "generator_onnx", "generated_images")
    folder = workspace.output("digits", "generator_onnx")
    accepted = read_json(folder / PRECISION)["accepted"]
    used = "int8" if accepted else "fp32"
    assert Sampler(find_fastest(folder)).info.precision == used
    assert read_manifest(folder)["metrics"]["precision"] == used
    assert read_manifest(workspace.output("digits", "generated_images"))["metrics"]["precision"] == used
    assert f"int8 variant: {'accepted' if accepted else 'rejected'}" in (folder / "card.md").read_text()
