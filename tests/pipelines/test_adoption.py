"""`growset init --here` in projects that exist already, `--example`, and repositories that must not be nested."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from ops.sources.spec import load_source_spec
from ops.workspaces.workspace import Workspace
from tests.workspaces import digit_splits, growset, run, shrink_recipe

Adopt = Callable[..., tuple[int, str]]


def make_images(folder: Path) -> Path:
    for split, dataset in digit_splits().items():
        for i, (image, label) in enumerate(zip(dataset.images[:40], dataset.labels[:40], strict=True)):
            path = folder / split / dataset.class_names[label] / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(path)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A git repository with a commit, unfinished work, and files that a workspace needs too."""
    root = tmp_path / "project"
    make_images(root / "data" / "digits")
    (root / ".gitignore").write_text("*.log\n")
    (root / "README.md").write_text("# My project\n")
    (root / "notes.txt").write_text("first\n")
    run(root, "git", "init", "--quiet", "--initial-branch", "trunk")
    run(root, "git", "config", "user.email", "test@growset.example")
    run(root, "git", "config", "user.name", "Test")
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "Mine")
    (root / "notes.txt").write_text("second\n")
    return root


@pytest.fixture
def adopt(monkeypatch: pytest.MonkeyPatch) -> Adopt:
    def call(root: Path, *arguments: str) -> tuple[int, str]:
        monkeypatch.chdir(root)
        result = growset(root, "init", "--here", *arguments)
        return result.exit_code, result.output

    return call


def test_a_git_repository_is_adopted_and_nothing_is_committed(project: Path, adopt: Adopt) -> None:
    code, output = adopt(project, "--source", "data/digits")
    assert code == 0, output
    assert "git add " in output and "nothing is committed" in output
    assert run(project, "git", "log", "--format=%s").stdout == "Mine\n"
    assert run(project, "git", "diff", "--cached", "--name-only").stdout == ""
    assert (project / "README.md").read_text() == "# My project\n"
    assert (project / "notes.txt").read_text() == "second\n"
    assert (project / ".gitignore").read_text() == (
        "*.log\n/data/digits-grown/\n.growset/\n__pycache__/\n/dvc_plots/\n"
    )
    assert "path: '../data/digits'" in (project / "sources" / "digits-grown.yaml").read_text()
    assert load_source_spec(project / "sources" / "digits-grown.yaml").root == project / "data" / "digits"
    assert growset(project, "check").output.startswith("digits-grown: ok")
    assert "not run yet" in run(project, "dvc", "metrics", "show").stdout
    again, told = adopt(project, "--source", "data/digits")
    assert again == 2 and "is a Growset workspace already" in told
    # The command that is printed commits everything but the user's own unfinished work.
    (command,) = [line.strip() for line in output.splitlines() if line.startswith("  git add ")]
    run(project, *command.split())
    run(project, "git", "commit", "--quiet", "--message", "Add a Growset workspace")
    assert run(project, "git", "status", "--porcelain").stdout == " M notes.txt\n"


@pytest.mark.slow
def test_a_dvc_project_keeps_its_stages_and_runs_the_chain_beside_them(project: Path, adopt: Adopt) -> None:
    run(project, "dvc", "init", "--quiet")
    (project / ".dvc" / "config").write_text(
        "[core]\n    analytics = false\n    autostage = false\n['remote \"mine\"']\n    url = ../remote\n"
    )
    (project / "dvc.yaml").write_text(
        "stages:\n    count:  # mine\n        cmd: ls > count.txt\n        outs: [count.txt]\nmetrics:\n  - mine.json\n"
    )
    (project / "mine.json").write_text('{"lr": 0.1}')
    (project / "params.yaml").write_text("lr: 0.1  # tuned\n")
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message", "DVC")
    code, output = adopt(project, "--source", "data/digits")
    assert code == 0, output
    assert "url = ../remote" in (project / ".dvc" / "config").read_text()
    pipeline = yaml.safe_load((project / "dvc.yaml").read_text())
    assert {"count", "verdict"} <= pipeline["stages"].keys()
    assert pipeline["metrics"] == ["figures/metrics", "mine.json"]
    assert (project / "params.yaml").read_text().startswith("lr: 0.1  # tuned\n")
    shrink_recipe(project / "recipes" / "digits-grown.yaml")
    ran = growset(project, "run", "digits-grown")
    assert ran.exit_code == 0, ran.output
    assert run(project, "dvc", "status", "verdict@digits-grown").stdout.strip() == "Data and pipelines are up to date."
    assert (project / "params.yaml").read_text().startswith("lr: 0.1  # tuned\n")
    shown = run(project, "dvc", "metrics", "show")
    assert "figures/metrics/digits-grown.json" in shown.stdout and "mine.json" in shown.stdout and shown.stderr == ""
    run(project, "dvc", "repro", "--quiet", "count")
    assert "unchanged" in growset(project, "run", "digits-grown").output


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("workspace.yaml", "load_from: []\n", "workspace.yaml exists already"),
        ("params.yaml", "expansions: 3\n", "has the key expansions already"),
        ("dvc.yaml", "stages:\n  report: {cmd: ls}\n", "has a stage report already"),
        ("data.dvc", "outs: [{path: data}]\n", "data.dvc exists already"),
        ("dvc.yaml", "stages:\n  all: {cmd: ls, outs: [data/digits-grown]}\n", "DVC cannot use the stages"),
    ],
)
def test_what_cannot_be_merged_leaves_the_project_as_it_was(
    project: Path, adopt: Adopt, name: str, content: str, sentence: str
) -> None:
    (project / name).write_text(content)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file() and ".git/" not in str(path)}
    code, output = adopt(project, "--source", "data/digits")
    assert code == 2 and sentence in output, output
    after = {path: path.read_bytes() for path in project.rglob("*") if path.is_file() and ".git/" not in str(path)}
    assert after == before
    assert not (project / ".dvc").exists() and not (project / "recipes").exists()
    assert run(project, "git", "diff", "--cached", "--name-only").stdout == ""


def test_no_repository_is_made_inside_another_unless_git_ignores_the_folder(
    project: Path, tmp_path: Path, adopt: Adopt
) -> None:
    images = str(make_images(tmp_path / "images"))
    for inside in (project / "work", project / "a" / "b"):
        result = growset(tmp_path, "init", str(inside), "--source", images)
        assert result.exit_code == 2
        assert f"in the repository {project}" in result.output and "growset init --here" in result.output
        assert not inside.exists()
    (project / "sub").mkdir()
    code, output = adopt(project / "sub", "--source", images)
    assert code == 2 and f"--here needs its top folder: call it in {project}" in output
    (project / ".gitignore").write_text("work/\n")
    result = growset(tmp_path, "init", str(project / "work"), "--source", images)
    assert result.exit_code == 0, result.output


def test_a_plain_folder_is_adopted_with_repositories_and_a_commit_of_growsets_files_only(
    tmp_path: Path, adopt: Adopt
) -> None:
    root = tmp_path / "project"
    make_images(root / "pictures")
    code, output = adopt(root, "--source", "pictures")
    assert code == 0, output
    assert "git add" not in output
    assert run(root, "git", "status", "--porcelain").stdout == "?? pictures/\n"
    assert run(root, "git", "log", "--oneline").stdout.count("\n") == 1
    assert growset(root, "check").output == "pictures: ok\n"


def test_a_workspace_among_the_images_is_refused(tmp_path: Path, adopt: Adopt) -> None:
    images = make_images(tmp_path / "images")
    inside = growset(tmp_path, "init", str(images / "work"), "--source", str(images))
    assert inside.exit_code == 2 and "would count as images" in inside.output
    code, output = adopt(images, "--source", ".")
    assert code == 2 and "would count as images" in output
    assert {path.name for path in images.iterdir()} == {"train", "validation", "test"}


def test_the_example_comes_with_its_images_and_both_recipes(tmp_path: Path) -> None:
    result = growset(tmp_path, "init", str(tmp_path / "work"), "--example")
    assert result.exit_code == 0, result.output
    assert Workspace(tmp_path / "work").expansions == ["smoke", "fashion-flow"]
    assert growset(tmp_path / "work", "check").output.splitlines()[0] == "smoke: ok"
    assert run(tmp_path / "work", "git", "status", "--porcelain").stdout == ""
    texts = [path.read_text() for path in (tmp_path / "work" / "recipes").iterdir()]
    assert not any("docs/" in text for text in texts) and any("`growset docs recipes`" in text for text in texts)


def test_a_table_is_found_told_and_described(tmp_path: Path) -> None:
    rows = ["Image,Species"]
    for split, dataset in digit_splits().items():
        for i, (image, label) in enumerate(zip(dataset.images[:40], dataset.labels[:40], strict=True)):
            path = tmp_path / "Leaves" / "pictures" / f"{split}-{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(path)
            rows.append(f"{path.stem},{dataset.class_names[label]}")
    (tmp_path / "Leaves" / "labels.csv").write_text("\n".join(rows))
    for number, source in enumerate(("Leaves", "Leaves/labels.csv")):
        root = tmp_path / f"work{number}"
        result = growset(tmp_path, "init", str(root), "--source", str(tmp_path / source))
        assert result.exit_code == 0, result.output
        assert "labels.csv: Image names the images, Species their classes" in result.output
        text = (root / "sources" / "leaves.yaml").read_text()
        assert "table: 'labels.csv'\nfile_name: 'Image'\nlabel: 'Species'\n" in text
        assert growset(root, "check").output == "leaves: ok\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name a folder"),
        (["work"], "name your images with --source"),
        (["work", "--here", "--example"], "not both"),
        (["work", "--example", "--source", "x"], "not both"),
    ],
)
def test_arguments_that_contradict_are_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    result = growset(tmp_path, "init", *arguments)
    assert (result.exit_code, len(result.output.strip().splitlines())) == (2, 1)
    assert sentence in result.output
