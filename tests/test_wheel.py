"""The wheel: what it contains, and that Growset works from an installation without a clone.

The fast tests build the wheel and look into it. The slow one installs it in a fresh environment, which sees this
environment's libraries through a .pth file, so that no network is needed.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ops.files import shipped
from tests.workspaces import ROOT, digit_splits, shrink_recipe

BUILD = "import sys; from setuptools.build_meta import {0}; print({0}(sys.argv[1]))"
PACKAGES = {"ops", "assets", "pipelines", "benchmarks"}
FOLDER = shipped.PACKAGED.name


def list_tracked() -> list[str]:
    """The files of this checkout that are committed or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).is_file()]


def build(what: str, project: Path, target: Path) -> Path:
    command = [sys.executable, "-c", BUILD.format(f"build_{what}"), str(target)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout: setuptools leaves a folder `build` where it builds."""
    folder = tmp_path_factory.mktemp("project")
    for name in list_tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", project, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_has_the_code_and_the_files_of_the_clone_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
    assert {name.partition("/")[0] for name in names} == PACKAGES | {FOLDER, info}
    tracked = list_tracked()
    code = {name for name in tracked if name.partition("/")[0] in PACKAGES and not name.endswith(".json")}
    assert {name for name in names if name.partition("/")[0] in PACKAGES} == code
    files = {name.removeprefix(f"{FOLDER}/") for name in names if name.startswith(f"{FOLDER}/")}
    assert files <= set(tracked)
    for folder in ("docs", "recipes", "sources", "examples"):
        beside = {name for name in tracked if name.startswith(f"{folder}/")}
        assert {name for name in files if name.startswith(f"{folder}/")} == beside
    assert {"dvc.yaml", "params.yaml", "dagster.yaml", "workspace.yaml", ".dvcignore", ".dvc/config"} <= files


def test_the_version_and_the_command_are_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        version = re.search(r"^Version: (.+)$", archive.read(metadata).decode(), flags=re.MULTILINE)
        entries = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert version is not None and wheel.name.startswith(f"growset-{version[1]}-py3-none-any")
    assert "growset = pipelines.cli.main:main" in entries


def test_a_wheel_from_the_source_distribution_has_the_same_files(project: Path, wheel: Path, tmp_path: Path) -> None:
    packed = build("sdist", project, tmp_path)
    subprocess.run(["tar", "-xzf", str(packed), "-C", str(tmp_path)], check=True)
    again = build("wheel", tmp_path / packed.name.removesuffix(".tar.gz"), tmp_path)
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert {entry.filename: entry.CRC for entry in first.infolist() if "RECORD" not in entry.filename} == {
            entry.filename: entry.CRC for entry in second.infolist() if "RECORD" not in entry.filename
        }


def test_a_file_that_is_missing_stops_the_build(project: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(project, tmp_path / "broken")
    (broken / "dagster.yaml").unlink()
    with pytest.raises(AssertionError, match=r"no file matches dagster\.yaml"):
        build("wheel", broken, tmp_path)


def install(wheel: Path, folder: Path) -> Path:
    """A fresh environment with the wheel and this environment's libraries; returns its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.mark.slow
def test_an_installed_growset_runs_a_chain_outside_of_the_clone(wheel: Path, tmp_path: Path) -> None:
    programs = install(wheel, tmp_path / "environment")
    dropped = ("VIRTUAL_ENV", "DAGSTER_HOME", "GROWSET_HOME", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment |= {"PATH": f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin", "OMP_NUM_THREADS": "1"}

    def call(folder: Path, *command: str) -> str:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    found = call(tmp_path, "python", "-c", "import ops, pipelines; print(ops.__file__, pipelines.__file__)").split()
    assert all(Path(file).is_relative_to(programs.parent) for file in found)
    assert re.fullmatch(r"growset, version \d+\.\d+\.\d+\n", call(tmp_path, "growset", "--version"))
    assert call(tmp_path, "growset", "docs", "recipes") == (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")

    splits = digit_splits()
    arrays = {f"{split}_images": data.images for split, data in splits.items()}
    labels = {f"{split}_labels": data.labels for split, data in splits.items()}
    np.savez(tmp_path / "digits.npz", **arrays, **labels)
    call(tmp_path, "growset", "init", "work", "--source", "digits.npz", "--licence", "BSD-3-Clause")
    work = tmp_path / "work"
    assert not [path for path in work.rglob("*.*ml") if str(ROOT) in path.read_text(encoding="utf-8")]
    assert call(work, "growset", "check") == "digits: ok\n"
    shrink_recipe(work / "recipes" / "digits.yaml")
    assert "report: " in call(work, "growset", "run", "digits")
    assert "digits: unchanged" in call(work, "growset", "run", "digits")
    assert call(work, "python", "-m", "dvc", "status").strip() == "Data and pipelines are up to date."
    call(work, "python", "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml")
    call(work, "growset", "new", "second", "--from", "fashion-flow", "--source", "digits")
    assert "plan.ratio" in call(work, "growset", "check", "--set", "plan.ratio=2")
    call(tmp_path, "growset", "init", "example", "--example")
    assert "smoke: ok" in call(tmp_path / "example", "growset", "check", "smoke")
    done = subprocess.run(["growset", "bench", "verdict"], cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "clone" in done.stderr
