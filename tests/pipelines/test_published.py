"""The shipped recipes of published long tails in a workspace: what is said while the files are missing, and their plans
on tiny stand-ins for these files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ops.planning.variants import foresee_variants
from ops.sources.spec import load_source_spec
from ops.workspaces.workspace import Workspace
from pipelines.cli.plan import describe_plan
from pipelines.cli.prospect import guess_pace, look_ahead
from tests.published import CLASSES, FOLDERS, RECIPES, write_images
from tests.workspaces import ROOT, growset

SMALL: dict[str, dict[str, Any]] = {  # tails that the stand-ins can fill, with smallest classes of 2 and more
    "k49": {"head": 40},
    "gtsrb": {"head": 6, "floor": 2},
    "cifar10": {"ratio": 5.0},
    "cifar100": {"ratio": 5.0},
    "tiny-imagenet": {"ratio": 2.0},
}
PUBLISHED_SIZES = {"cifar10": 50_000, "cifar100": 50_000, "tiny-imagenet": 100_000}  # training images


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace in which the recipes are active."""
    for name in ("recipes", "sources"):
        shutil.copytree(ROOT / name, tmp_path / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({**params, "expansions": list(RECIPES)}))
    return tmp_path


@pytest.mark.parametrize("name", RECIPES)
def test_a_check_says_where_missing_files_belong_and_come_from(root: Path, name: str) -> None:
    source = RECIPES[name]
    origin = load_source_spec(ROOT / "sources" / f"{source}.yaml").origin
    for command in ("check", "plan"):
        result = growset(root, command, name)
        assert result.exit_code == 2 and result.stdout == ""
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith(f"growset: {root / 'datasets' / FOLDERS[source]} does not exist; expected ")
        assert result.stderr.endswith(f"; the files come from {origin}\n")


@pytest.mark.parametrize(
    ("source", "missing", "sentence"),
    [
        ("k49", "k49-train-labels.npz", "has no <name>-train-imgs.npz with its <name>-train-labels.npz, nor a single"),
        ("k49", "k49-test-imgs.npz", "source k49: it has no test images; draw them from train with"),
        ("gtsrb", "GTSRB/Final_Training", "has no Final_Training/Images; expected the unpacked GTSRB_Final_Training_"),
        (
            "gtsrb",
            "GT-final_test.csv",
            "GT-final_test.csv does not exist; expected the unpacked GTSRB_Final_Test_GT.zip",
        ),
        ("cifar10", "data_batch_4.bin", "has no data_batch_4.bin; expected the whole binary version"),
        ("cifar10", "test_batch.bin", "source cifar10: it has no test images; draw them from train with"),
        ("cifar100", "test.bin", "source cifar100: it has no test images; draw them from train with"),
        ("tiny-imagenet", "val/val_annotations.txt", "has no train/<wnid>/images or no val/val_annotations.txt;"),
    ],
)
def test_a_part_that_is_missing_is_named(root: Path, source: str, missing: str, sentence: str) -> None:
    write_images(root, source, classes=3)
    path = root / "datasets" / FOLDERS[source] / missing
    (shutil.rmtree if path.is_dir() else Path.unlink)(path)
    result = growset(root, "check", next(name for name in RECIPES if RECIPES[name] == source))
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert sentence in result.stderr and "; the files come from http" in result.stderr


@pytest.mark.parametrize("name", RECIPES)
def test_a_plan_of_each_counts_its_variants(root: Path, name: str) -> None:
    source = RECIPES[name]
    write_images(root, source)
    changes = {f"data.long_tail.{key}": value for key, value in SMALL[source].items()}
    changes |= {"classifier.steps": 40, "classifier.batch_size": 64}
    workspace = Workspace(root, changes)
    seen = look_ahead(workspace, name)
    sizes = seen.counted.images["train"]
    assert len(sizes) == CLASSES[source] and seen.counted.totals["test"] > seen.counted.totals["validation"] > 0
    found = describe_plan(guess_pace(workspace, seen))
    assert found["to_do_seconds"] > 0 and found["smallest_effect"]["metric"] == "balanced_accuracy"
    labels = np.repeat(np.arange(len(sizes)), sizes)
    accounts = foresee_variants(seen.recipe, seen.plan, labels)
    assert set(accounts) == {"git", "placebo"}
    shown = np.array(accounts["git"].variants)
    assert shown.sum() > 0 and (np.array(accounts["git"].shown) >= shown).all()
    rarest, commonest = sizes == sizes.min(), sizes == sizes.max()
    assert shown[rarest].mean() > (0 if source == "k49" else shown[commonest].mean() / sizes.max())


@pytest.mark.parametrize("source", ["cifar10", "cifar100", "tiny-imagenet"])
def test_adainf_expands_all_training_images_without_their_labels(root: Path, source: str) -> None:
    name = f"adainf-{source}"
    (root / "params.yaml").write_text(yaml.safe_dump({"expansions": [name]}))
    truth = write_images(root, source)
    seen = look_ahead(Workspace(root), name)
    (grown,) = seen.plan.classes
    real = sum(len(labels) for split, (_, labels) in truth.items() if split == "train")
    assert (grown.name, grown.real) == ("unlabelled", real)
    assert PUBLISHED_SIZES[source] * seen.recipe.plan.ratio == 1_000_000
    adainf = seen.recipe.expanded["adainf"]
    assert (adainf.strength, adainf.real_weight) == (0.5, 10.0)  # the paper's, in its words "Simple AdaInf"


def test_a_recipe_made_from_one_of_them_brings_the_description_of_its_files(fresh_workspace: Path) -> None:
    result = growset(fresh_workspace, "new", "mine", "--from", "cifar10-lt")
    assert result.exit_code == 0, result.output
    place = fresh_workspace / "datasets" / "cifar-10-batches-bin"
    assert f"sources/cifar10.yaml is written; put there, into {place}: https://www.cs.toronto.edu" in result.stdout
    write_images(fresh_workspace, "cifar10")
    assert growset(fresh_workspace, "activate", "mine").exit_code == 0
    result = growset(fresh_workspace, "check", "mine", "--set", "data.long_tail.ratio=5")
    assert result.exit_code == 0 and "mine: ok" in result.stdout, result.output
    description = fresh_workspace / "sources" / "cifar10.yaml"
    description.write_text(description.read_text() + "# mine\n")
    assert growset(fresh_workspace, "new", "other", "--from", "cifar10-lt").exit_code == 0
    assert description.read_text().endswith("# mine\n"), "a description that is there stays"


def test_the_example_s_description_is_not_brought_without_its_images(fresh_workspace: Path) -> None:
    result = growset(fresh_workspace, "new", "mine", "--from", "fashion-tail")
    assert result.exit_code == 2 and "there is no source 'fashion-mnist'" in result.stderr
    assert not (fresh_workspace / "recipes" / "mine.yaml").exists()
