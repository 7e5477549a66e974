"""`growset init` and `growset new`: a workspace from a folder of images that works in every front end."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.datasets.pixels import read_split
from ops.recipe.named_sources import list_named
from ops.sources.spec import load_source_spec
from ops.workspaces.workspace import Workspace
from tests.workspaces import digit_splits, growset, run, shrink_recipe


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The digits as a folder of PNG files, in the layout that people have."""
    folder = tmp_path / "My Digits"
    for split, dataset in digit_splits().items():
        for i, (image, label) in enumerate(zip(dataset.images, dataset.labels, strict=True)):
            path = folder / split / dataset.class_names[label] / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(path)
    return folder


def init(tmp_path: Path, images: Path) -> Path:
    root = tmp_path / "work"
    result = growset(tmp_path, "init", str(root), "--source", str(images), "--licence", "it's mine")
    assert result.exit_code == 0, result.output
    return root


def test_the_workspace_is_complete_committed_and_valid(tmp_path: Path, images: Path) -> None:
    root = init(tmp_path, images)
    workspace = Workspace(root)
    assert workspace.expansions == ["my-digits"]
    assert run(root, "git", "status", "--porcelain").stdout == ""
    assert run(root, "git", "log", "--oneline").stdout.count("\n") == 1
    for file in ("dvc.yaml", "params.yaml", "workspace.yaml", "dagster.yaml", "README.md", ".dvc/config"):
        assert (root / file).is_file(), file
    assert "growset run my-digits" in (root / "README.md").read_text()
    result = growset(root, "check")
    assert (result.exit_code, result.output) == (0, "my-digits: ok\n")
    assert workspace.load_recipe("my-digits").generator.model_dump()["unshuffle"] == 1  # 16 x 16
    shown = run(root, "dvc", "metrics", "show")
    assert "not run yet" in shown.stdout and shown.stderr == ""
    assert run(root, "dvc", "plots", "show").stderr == ""
    assert run(root, "git", "status", "--porcelain").stdout == "", "DVC's page of plots is not for git"
    licence = (root / "sources" / "my-digits.yaml").read_text()
    assert "it''s mine" in licence


def test_images_without_labels_get_a_description_and_a_recipe_of_their_own(tmp_path: Path, images: Path) -> None:
    loose, root = tmp_path / "all of them", tmp_path / "work"
    loose.mkdir()
    for place, path in enumerate(sorted(images.rglob("*.png"))[::2]):
        shutil.copyfile(path, loose / f"{place}.png")
    Image.new("L", (16, 16), 77).save(loose / "new.png")
    result = growset(tmp_path, "init", str(root), "--source", str(images), "--unlabelled", str(loose))
    assert result.exit_code == 0, result.output
    count = len(list(loose.iterdir()))
    assert f"{count} images without labels are expanded, see sources/my-digits-unlabelled.yaml" in result.output
    spec, recipe = (
        load_source_spec(root / "sources" / "my-digits-unlabelled.yaml"),
        Workspace(root).load_recipe("my-digits"),
    )
    assert (spec.kind, spec.root) == ("folder", loose)
    assert (recipe.source, recipe.data.unlabelled) == ("my-digits", "my-digits-unlabelled")
    assert recipe.data.images_per_class is None and recipe.generator.model_dump()["unshuffle"] == 1  # 16 x 16
    assert (growset(root, "check").output, run(root, "git", "status", "--porcelain").stdout) == ("my-digits: ok\n", "")
    header = (root / "recipes" / "my-digits.yaml").read_text().splitlines()[0]
    assert (
        header
        == f"# How my-digits is grown: 64 training images of 2 classes and {count} images without labels, 16 x 16 x 1."
    )


def test_a_licence_of_the_example_is_refused(tmp_path: Path) -> None:
    result = growset(tmp_path, "init", str(tmp_path / "work"), "--example", "--licence", "CC0-1.0")
    assert result.exit_code == 2 and "--licence has no effect with --example" in result.stderr
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--example"], "--unlabelled has no effect with --example"),
        (["--source", "My Digits"], "nowhere does not exist; --unlabelled names images without labels"),
        (["--source", "My Digits"], "empty holds no image; --unlabelled names images without labels"),
        (["--source", "My Digits"], "so its files would count as images; keep the images in a folder apart"),
    ],
)
def test_images_without_labels_that_are_none_are_refused(
    tmp_path: Path, images: Path, options: list[str], sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    place = next((name for name in ("nowhere", "empty") if sentence.startswith(name)), ".")
    others = [str(tmp_path / option) if option == images.name else option for option in options]
    result = growset(tmp_path, "init", str(tmp_path / "work"), *others, "--unlabelled", str(tmp_path / place))
    assert result.exit_code == 2 and sentence in result.stderr, result.output
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_the_chain_runs_in_it_and_both_doors_find_it_current(tmp_path: Path, images: Path) -> None:
    root = init(tmp_path, images)
    shrink_recipe(root / "recipes" / "my-digits.yaml")
    result = growset(root, "run", "my-digits")
    assert result.exit_code == 0, result.output
    assert run(root, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    assert "unchanged" in growset(root, "run", "my-digits").output
    assert run(root, "dagster", "definitions", "validate", "-w", "workspace.yaml").returncode == 0


def test_mixed_images_get_their_median_side_and_a_warning_says_what_is_lost(tmp_path: Path, images: Path) -> None:
    for i, path in enumerate(sorted(images.rglob("*.png"))):
        Image.open(path).resize((40 + i % 3, 50)).save(path)
    root = tmp_path / "work"
    printed = growset(tmp_path, "init", str(root), "--source", str(images)).output
    assert "\nsize: 41\n" in (root / "sources" / "my-digits.yaml").read_text()
    assert "images are 40 to 42 pixels on their shorter side and become 41 x 41" in printed
    assert "warning: 33% of the images are enlarged" in printed
    assert (
        "warning: 33% of the images are reduced, so generator, classifiers and verdict are about images of 41"
        in printed
    )
    assert "give --size 42" in printed
    assert growset(root, "check").exit_code == 0


def test_what_init_says_of_few_large_images_is_what_check_and_size_allow(tmp_path: Path) -> None:
    for i in range(6):
        path = tmp_path / "few" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (600, 600), 40 * i).save(path)
    root = tmp_path / "my work"
    printed = growset(tmp_path, "init", str(root), "--source", str(tmp_path / "few")).output
    assert "2 training images of 2 classes, 1 to 1 each" in printed
    assert "no class has 2 training images after drawing validation and test" in printed
    assert "check, plan and run refuse this source" in printed and "--force" not in printed
    assert "to keep more, give --size 512, which" in printed
    assert f"  cd '{root}'\n" in printed
    result = growset(root, "check")
    assert result.exit_code == 2 and "1 training images of the largest class; add images" in result.output


def test_a_table_with_several_rows_and_class_columns_for_an_image_is_told(tmp_path: Path) -> None:
    source, rows = tmp_path / "boxes", ["file,target,diagnosis"]
    source.mkdir()
    for i in range(20):
        Image.new("L", (8, 8), 9 * i).save(source / f"{i}.png")
        rows += [f"{i}.png,{i % 2},{'ab'[i % 2]}"] * (1 + i % 2)
    (source / "boxes.csv").write_text("\n".join(rows))
    printed = growset(tmp_path, "init", str(tmp_path / "work"), "--source", str(source)).output
    assert "boxes.csv: file names the images, target their classes (not diagnosis); to change that" in printed
    assert "warning: 10 rows name images that another row names too, and every row counts as an image" in printed


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, images: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    (root / "thesis.txt").write_text("years of work")
    result = growset(tmp_path, "init", str(root), "--source", str(images))
    assert result.exit_code == 2
    assert "is not empty" in result.output
    assert [path.name for path in root.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("layout", ["nothing", "one class"])
def test_a_source_that_cannot_be_used_leaves_no_half_workspace(tmp_path: Path, layout: str) -> None:
    source = tmp_path / "images"
    for split in ("train", "validation", "test"):
        for name in ("a", "b")[: 1 if layout == "one class" else 2]:
            folder = source / split / name
            folder.mkdir(parents=True)
            if layout != "nothing":
                Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "0.png")
    result = growset(tmp_path, "init", str(tmp_path / "work"), "--source", str(source))
    assert result.exit_code == 2
    assert len(result.output.strip().splitlines()) == 1
    assert str(source) in result.output
    assert not (tmp_path / "work").exists()


def test_splits_are_drawn_where_there_are_none_and_transparency_gets_a_background(tmp_path: Path) -> None:
    source = tmp_path / "Pressed leaves"
    for number, name in enumerate(("oak", "ash")):
        (source / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.random.default_rng([number, i]).integers(0, 256, (20, 30 + i, 4), np.uint8)
            Image.fromarray(pixels).save(source / name / f"{i}.png")
    result = growset(tmp_path, "init", str(tmp_path / "work"), "--source", str(source))
    assert result.exit_code == 0, result.output
    told = "15 % for validation and 25 % for test are drawn from the others; see sources/pressed-leaves.yaml"
    assert told in result.output
    spec = load_source_spec(tmp_path / "work" / "sources" / "pressed-leaves.yaml")
    assert (spec.kind, spec.size, spec.background) == ("folder", 20, "white")
    assert spec.split is not None and (spec.split.validation, spec.split.test) == (0.15, 0.25)
    assert growset(tmp_path / "work", "check").exit_code == 0
    assert growset(tmp_path / "work", "materialize", "real_images", "pressed-leaves").exit_code == 0
    real = tmp_path / "work" / "data" / "pressed-leaves" / "real_images"
    assert [len(read_split(real, split)) for split in ("train", "validation", "test")] == [24, 6, 10]


def test_without_a_name_in_git_it_still_works(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    root = init(tmp_path, images)
    author = subprocess.run(["git", "-C", str(root), "log", "--format=%an"], capture_output=True, text=True, check=True)
    assert author.stdout == "Growset\n"


def test_new_copies_a_recipe_with_its_comments(fresh_workspace: Path) -> None:
    result = growset(fresh_workspace, "new", "second", "--from", "fashion-flow", "--source", "digits")
    assert result.exit_code == 0, result.output
    text = (fresh_workspace / "recipes" / "second.yaml").read_text()
    assert "# work at 1/2 of the resolution (1, 2 or 4)" in text
    assert growset(fresh_workspace, "activate", "second").exit_code == 0
    assert growset(fresh_workspace, "check", "second").exit_code == 0


@pytest.mark.parametrize(("template", "key"), [("fashion-adainf", "data.unlabelled"), ("fashion-gif", "prior.pool")])
def test_new_s_source_stands_wherever_the_template_names_its_own(
    fresh_workspace: Path, template: str, key: str
) -> None:
    result = growset(fresh_workspace, "new", "second", "--from", template, "--source", "digits")
    assert result.exit_code == 0, result.output
    recipe = Workspace(fresh_workspace).load_recipe("second", active=False)
    assert list_named(recipe) == {"source": "digits", key: "digits"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["digits", "--from", "digits"], "exists already"),
        (["../evil", "--from", "digits"], "cannot name a recipe"),
        (["second", "--from", "digitz"], "did you mean 'digits'?"),
        (["second", "--from", "digits", "--source", "digit"], "did you mean 'digits'?"),
    ],
)
def test_new_refuses_invalid_arguments(fresh_workspace: Path, arguments: list[str], sentence: str) -> None:
    before = sorted(fresh_workspace.rglob("*.yaml"))
    result = growset(fresh_workspace, "new", *arguments)
    assert result.exit_code == 2
    assert sentence in result.output
    assert sorted(fresh_workspace.rglob("*.yaml")) == before
