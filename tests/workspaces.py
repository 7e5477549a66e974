"""Workspaces for tests: tiny real images (scikit-learn's digits), a recipe that runs in seconds, and two ways to
call Growset in them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from ruamel.yaml import YAML
from sklearn.datasets import load_digits

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from tests.dvc_commands import run_dvc

ROOT = Path(__file__).parents[1]
RECIPE = """\
source: digits
seed: 0
on_new_images: retrain
data: {images_per_class: 16}
plan: {ratio: 1.0, overdraw: 3.0, rounds: 2}
tuning: {}
scorer: {folds: 2, steps: 40, batch_size: 16, width: 16}
prior: null
generator: {widths: [8, 16], steps: 60, batch_size: 16, learning_rate: 0.02, warmup_steps: 5, ema_decay: 0.9}
sampler: {usable_from: null, steps: 1, solver: euler}
filter: {wrong_label: {threshold: 0.05}, near_copy: {threshold: 0.3}, near_repeat: {threshold: 0.25}, atypical: null}
mix: {real_weight: 4.0}
classifier: {steps: 20, batch_size: 16, network: {kind: small_resnet, width: 8}, seeds: 2}
baselines:
  real: {}
  oversampled: {sampler: class_balanced}
expanded:
  expanded: {}
verdict: {}
report: {examples_per_class: 2}
publish: {}
"""
NAMES = ("zero", "one")


def digit_splits() -> dict[str, PixelDataset]:
    """Zeros and ones of scikit-learn's digits at 16x16: 32 train, 32 validation, the rest test."""
    digits = load_digits()
    chosen = np.flatnonzero(digits.target < len(NAMES))
    images = np.kron(digits.images[chosen], np.ones((2, 2))) * (255 / 16)
    labels = digits.target[chosen]
    bounds = {"train": (0, 64), "validation": (64, 128), "test": (128, len(chosen))}
    splits = {}
    for name, (start, end) in bounds.items():
        part = images[start:end].round().astype(np.uint8)[..., None]
        ids = number_repeats(content_ids(part))
        splits[name] = PixelDataset(part, build_rows(labels[start:end], ids, split=name), NAMES)
    return splits


def write_params(root: Path, expansions: tuple[str, ...] = ()) -> None:
    """A params.yaml with each stage's first version."""
    from ops.recipe.stages import STAGES

    versions = "".join(f"  {stage}: 1\n" for stage in STAGES)
    (root / "params.yaml").write_text(
        f"# The active ones.\nexpansions: [{', '.join(expansions)}]\nstage_versions:\n{versions}source_versions: {{}}\n"
    )


def make_folder(root: Path, expansions: tuple[str, ...] = ("digits",), recipe: str = RECIPE) -> Path:
    """A folder with the source and the recipe; neither git nor DVC."""
    for folder in ("recipes", "sources", "images"):
        (root / folder).mkdir(parents=True)
    for name, split in digit_splits().items():
        write_shards(root / "images", split, prefix=name)
    (root / "sources" / "digits.yaml").write_text("kind: parquet\npath: ../images\nlicence: BSD-3-Clause\n")
    for name in expansions:
        (root / "recipes" / f"{name}.yaml").write_text(recipe)
    write_params(root, expansions)
    return root


def add_groups(root: Path, find_group: Callable[[int], int]) -> None:
    """Give each image of a split a group, the value of `find_group` for its row; no group is in two splits."""
    for name, split in digit_splits().items():
        groups = [f"{name} {find_group(row)}" for row in range(len(split))]
        rows = build_rows(split.labels, split.rows["image_id"].to_list(), split=name, parent_ids=groups)
        write_shards(root / "images", PixelDataset(split.images, rows, NAMES), prefix=name)
    with (root / "sources" / "digits.yaml").open("a") as description:
        description.write("group: parent_id\n")


def make_workspace(root: Path, expansions: tuple[str, ...] = ("digits",)) -> Path:
    """A git and DVC repository with the source, the recipe and the generated dvc.yaml."""
    make_folder(root, expansions)
    for name in ("dvc.yaml", "dagster.yaml", "workspace.yaml", ".gitignore", ".dvcignore"):
        shutil.copyfile(ROOT / name, root / name)
    run(root, "git", "init", "--quiet", "--initial-branch", "main")
    run(root, "git", "config", "user.email", "test@growset.example")
    run(root, "git", "config", "user.name", "Test")
    init_dvc(root)
    shutil.copyfile(ROOT / ".dvc" / "config", root / ".dvc" / "config")
    run(root, "git", "add", ".")
    run(root, "git", "commit", "--quiet", "--message", "A workspace")
    return root


def init_dvc(root: Path) -> None:
    """`dvc init` in a git repository, in this process (loading DVC anew costs half a second)."""
    from dvc.repo import Repo

    Repo.init(str(root)).close()


def set_remote(root: Path, url: Path | str, **options: str) -> None:
    """As `dvc remote add --default storage URL`, or with another URL than before, and `dvc remote modify` for each
    option; a relative URL counts from the current folder."""
    from dvc.config import Config

    with Config(str(root / ".dvc"), validate=False).edit("repo") as written:
        written["remote"]["storage"] = {**written["remote"].get("storage", {}), "url": str(url), **options}
        written["core"]["remote"] = "storage"


def remove_remote(root: Path) -> None:
    """As `dvc remote remove storage`."""
    from dvc.config import Config

    with Config(str(root / ".dvc"), validate=False).edit("repo") as written:
        del written["remote"]["storage"], written["core"]["remote"]


def shrink_recipe(path: Path, arms: tuple[str, ...] = (), classes: tuple[str, ...] = ()) -> None:
    """Few images, steps and seeds and a narrow generator in a recipe that `growset init` wrote, so that its chain runs
    in seconds. `arms` and `classes` are those that stay; empty for all."""
    yaml = YAML()
    content = yaml.load(path.read_text(encoding="utf-8"))
    content["data"] |= {"images_per_class": 12, "classes": list(classes) or content["data"]["classes"]}
    content["plan"]["ratio"] = 1.0
    content["filter"] = dict.fromkeys(content["filter"])  # such a generator draws noise
    content["sampler"] |= {"usable_from": None, "solver": "euler", "steps": 1}
    content["classifier"] |= {"seeds": 2, "network": {"kind": "small_resnet", "width": 8}}
    content["classifier"]["grid"] = {"learning_rate": [0.02], "weight_decay": [0.1]}
    content["tuning"] = {"policy": True, "steps": 2, "most_steps": 10, "folds": 2}
    content["scorer"] |= {"folds": 2, "width": 16}
    content["generator"] |= {"widths": [8, 16], "warmup_steps": 5, "ema_decay": 0.9, "checkpoints": 1}
    content["verdict"]["curve_seeds"] = 0
    for section, steps in (("scorer", 30), ("generator", 40), ("classifier", 10)):
        content[section] |= {"steps": steps, "batch_size": 16}
    for section in ("baselines", "expanded"):
        for arm in [name for name in content[section] if arms and name not in arms]:
            del content[section][arm]
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


@contextmanager
def one_core() -> Iterator[None]:
    """Keep what this thread starts on one core: torch's sums depend on the number of threads, and on a busy machine
    two threads that wait for each other take a hundred times longer than one."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[os.getpid() % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def on_all_cores() -> None:
    """In a child before its program starts: pytest-xdist's processes have a core each, a user's command has all."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))


def user_environment() -> dict[str, str]:
    """Environment variables for a command as a user would type it: this environment's scripts, this checkout's code."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("DAGSTER_HOME", None)
    return environment


def run(root: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command in `root`, to its end."""
    if command[0] == "dvc":
        done = run_dvc(root, command[1:], user_environment())
    else:
        done = subprocess.run(command, cwd=root, env=user_environment(), capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} exited {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def growset(root: Path, *arguments: str) -> Result:
    """The command line, called in this process (importing torch anew costs seconds)."""
    from pipelines.cli.main import main

    return CliRunner().invoke(main, ["--workspace", str(root), *arguments])
