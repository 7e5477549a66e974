"""The README's shell blocks, run as a new user would: in a clean clone, in their order, with the README's commands.

The default suite uses this environment's packages and the smallest expansion; `make test-slow` installs everything
anew into the clone and runs the demo as it stands.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workspaces import ROOT

NOT_RUN = "<!-- not run by the test: needs an NVIDIA GPU -->\n"


def shell_blocks() -> list[str]:
    """Every ```sh block of the README that a machine without a GPU can run."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
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
        if name in ("dvc.lock", "evaluations.jsonl") or name.startswith("published/"):
            continue  # what runs in this checkout left behind
        source = ROOT / name
        if source.exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)
    return target


def run_block(block: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean_environment() -> dict[str, str]:
    dropped = ("VIRTUAL_ENV", "DAGSTER_HOME", "GROWSET_HOME", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def test_there_are_blocks_and_the_gpu_one_is_marked() -> None:
    blocks = shell_blocks()
    assert len(blocks) >= 5
    assert not any("cuda" in block for block in blocks)
    assert NOT_RUN in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_block_runs_in_a_clean_clone(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    # This environment stands in for the one that make would install: same interpreter, same packages.
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for script in Path(sys.executable).parent.iterdir():
        (binaries / script.name).symlink_to(script)
    (binaries.parent / ".growset-installed").touch()
    environment = clean_environment() | {
        "PYTHONPATH": str(folder),
        "EXPANSION": "smoke",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    printed = ""
    for block in shell_blocks():
        if "make test" in block:
            continue  # this is make test
        runnable = block.replace("source .venv/bin/activate\n", "")
        printed += run_block(runnable, folder, environment)
    assert "smoke: unchanged" in printed
    assert "smoke: everything is here" in printed
    assert (tmp_path / "colleague" / "published" / "smoke" / "README.md").exists()


@pytest.mark.slow
def test_make_demo_installs_and_runs_in_a_clean_clone(tmp_path: Path) -> None:
    folder = clone(tmp_path)
    environment = clean_environment()
    output = run_block("make demo", folder, environment)
    assert re.search(r"^(Expansion helps|No evidence|Expansion hurts)", output, flags=re.MULTILINE), output
    print(output[-2000:])
    run_block("source .venv/bin/activate && dvc status verdict@fashion-flow", folder, environment)
