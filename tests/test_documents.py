"""The shell blocks of the README and of docs/, run as a new user would: in a clean clone, in order, as written.

The default suite uses this environment's packages and the smallest expansion; `make test-slow` installs everything
anew into the clone and runs the demo as it stands.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ops.datasets.pixels import read_shards, write_shard
from tests.workspaces import ROOT, shrink_recipe

NOT_RUN = "<!-- not run by the test: needs an NVIDIA GPU -->\n"
CLASSES = ("Trouser", "Sandal", "Bag")  # of the ten of the example
ARMS = ("real", "augmented", "expanded", "expanded+augmented")  # of the recipe that `growset init` writes; it has more
TESTED = 100  # images of each class in the example's test split, which every command reads; it has 1,000
LIMIT, FEWER = "--limit 2000", "--limit 200"  # images that `growset inspect` looks at, in the README and here
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))


def shell_blocks(page: str) -> list[str]:
    """Every ```sh block of a page that a machine without a GPU can run."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"({re.escape(NOT_RUN)})?```sh\n(.*?)```", text, flags=re.DOTALL)
    return [block for skipped, block in blocks if not skipped]


def clone(folder: Path) -> Path:
    """A clean clone of what is committed, plus what is about to be."""
    target = folder / "growset"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)
    changed = subprocess.run(
        ["git", "ls-files", "--modified", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    for name in changed:
        if name in ("dvc.lock", "evaluations.jsonl") or name.startswith(("published/", "figures/")):
            continue  # what runs in this checkout left behind
        source = ROOT / name
        if source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)
        else:
            (target / name).unlink()
    return target


def keep_few_test_images(folder: Path) -> None:
    """Commit an example with TESTED test images of each class."""
    shard = next((folder / "examples" / "fashion-mnist").glob("test-*.parquet"))
    images = read_shards([shard])
    rows = [np.flatnonzero(images.labels == label)[:TESTED] for label in range(len(images.class_names))]
    write_shard(shard, images.select(np.sort(np.concatenate(rows))))
    author = ("-c", "user.name=Test", "-c", "user.email=test@growset.example")
    subprocess.run(["git", *author, "commit", "--quiet", "--message", "Few", "--", str(shard)], cwd=folder, check=True)


@pytest.fixture(scope="module")
def clean_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose .venv is this environment: same interpreter, same packages as make would install."""
    folder = clone(tmp_path_factory.mktemp("documents"))
    keep_few_test_images(folder)
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for script in Path(sys.executable).parent.iterdir():
        (binaries / script.name).symlink_to(script)
    (binaries.parent / ".growset-installed").touch()
    return folder


def run_blocks(blocks: list[str], folder: Path, environment: dict[str, str]) -> str:
    """The blocks as one script, so that `cd` lasts; what they print."""
    script = "\n".join(blocks)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean_environment() -> dict[str, str]:
    dropped = ("VIRTUAL_ENV", "DAGSTER_HOME", "GROWSET_HOME", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def small_environment(folder: Path) -> dict[str, str]:
    """The clone's code, this environment's programs, the smallest expansion."""
    return clean_environment() | {
        "PYTHONPATH": str(folder),
        "EXPANSION": "smoke",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def without_activation(blocks: list[str]) -> list[str]:
    return [block.replace("source .venv/bin/activate\n", "") for block in blocks]


def test_there_are_blocks_and_the_gpu_one_is_marked() -> None:
    blocks = shell_blocks("README.md")
    assert len(blocks) >= 4
    assert not any("cuda" in block for block in blocks)
    assert NOT_RUN in (ROOT / "README.md").read_text(encoding="utf-8")
    assert {page for page in PAGES if shell_blocks(page)} == {
        "docs/bring-your-own-data.md",
        "docs/extending.md",
        "docs/figures.md",
        "docs/sharing.md",
        "docs/verdict.md",
    }


def test_links_lead_somewhere() -> None:
    for page in ("README.md", *PAGES):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_the_readme_sharing_and_the_verdict_in_one_clone(clean_clone: Path) -> None:
    environment = small_environment(clean_clone)
    blocks = [block for block in shell_blocks("README.md") if "make test" not in block]  # this is make test
    assert any(LIMIT in block for block in blocks)
    shown = [block.replace(LIMIT, FEWER) for block in without_activation(blocks)]
    printed = run_blocks(shown, clean_clone, environment)
    assert "smoke: unchanged" in printed
    assert "● current" in printed
    decision = run_blocks(without_activation(shell_blocks("docs/verdict.md")), clean_clone, environment)
    assert decision.strip() in ("helps", "no evidence", "hurts")
    printed = run_blocks(without_activation(shell_blocks("docs/sharing.md")), clean_clone, environment)
    assert "smoke: everything is here" in printed
    assert (clean_clone.parent / "colleague" / "published" / "smoke" / "README.md").exists()
    assert len(list((clean_clone.parent / "smoke-images" / "train").rglob("*.png"))) > 100
    assert (clean_clone.parent / "smoke-arrays" / "dataset.npz").exists()


def test_bringing_ones_own_data(clean_clone: Path) -> None:
    environment = small_environment(clean_clone)
    first, second, third = without_activation(shell_blocks("docs/bring-your-own-data.md"))
    made, plan, rest = first.partition("growset plan")
    printed = run_blocks([made], clean_clone, environment)
    assert "fashion-mnist: ok" in printed
    assert "1000 training images of 10 classes" in printed
    workspace = clean_clone.parent / "my-work"
    # The page plans and runs the chain as it is, which takes minutes; here the recipe is made small first.
    shrink_recipe(workspace / "recipes" / "fashion-mnist.yaml", ARMS, CLASSES)
    printed = run_blocks([plan + rest, second], workspace, environment)
    assert re.search(
        r"^(Expansion helps|No evidence|Expansion hurts|The classifiers have not learnt)", printed, flags=re.MULTILINE
    ), printed
    assert (workspace / "data" / "fashion-mnist" / "report" / "report.html").exists()
    assert "bolder: ok" in run_blocks([third], workspace, environment)


def test_the_commands_for_developers_change_nothing_that_is_committed(clean_clone: Path) -> None:
    pages = [(clean_clone / name).read_bytes() for name in ("dvc.yaml", "docs/recipes.md")]
    commands = "".join(without_activation(shell_blocks("docs/extending.md")))
    assert "pytest -q tests/ops/recipe" in commands
    generating = "\n".join(line for line in commands.splitlines() if "pytest" not in line)  # this is pytest
    run_blocks([generating], clean_clone, small_environment(clean_clone))
    assert [(clean_clone / name).read_bytes() for name in ("dvc.yaml", "docs/recipes.md")] == pages


@pytest.mark.slow
def test_make_demo_installs_and_runs_in_a_clean_clone(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    environment = clean_environment()
    output = run_blocks(["make demo"], folder, environment)
    assert re.search(
        r"^(Expansion helps|No evidence|Expansion hurts|The classifiers have not learnt)", output, flags=re.MULTILINE
    ), output
    print(output[-2000:])
    run_blocks(["source .venv/bin/activate && dvc status verdict@fashion-flow"], folder, environment)
