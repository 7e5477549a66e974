"""A workspace without data: two active recipes with equal content, one that is not active, all stage versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.history.git import run_git
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace

RECIPE = """\
source: insects
seed: 0
on_new_images: retrain
data: {}
plan: {ratio: 2.0}
tuning: {}
scorer: {}
prior: null
generator: {}
sampler: {}
filter: {}
mix: {}
classifier: {}
baselines: {real: {}}
expanded: {expanded: {}}
verdict: {}
report: {}
publish: {}
"""
PARAMS = """\
# The active ones.
expansions:
- base   # the first
- twin

# Raised by hand.
stage_versions:
{versions}
source_versions: {{}}
"""

LOCK = "schema: '2.0'\nstages:\n  scorer@base: {cmd: mine}\n  scorer@twin: {cmd: another's}\n"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("GROWSET_HOME", raising=False)
    root = tmp_path.resolve() / "workspace"
    (root / "recipes").mkdir(parents=True)
    (root / "sources").mkdir()
    for name in ("base", "twin", "idle"):
        (root / "recipes" / f"{name}.yaml").write_text(RECIPE, encoding="utf-8")
    versions = "".join(f"  {stage}: 1\n" for stage in STAGES)
    (root / "params.yaml").write_text(PARAMS.format(versions=versions), encoding="utf-8")
    return Workspace(root)


@pytest.fixture
def pointer(workspace: Workspace) -> Path:
    """What a publication leaves: a pointer, DVC's .gitignore, entries in dvc.lock and params.yaml."""
    root = workspace.root
    run_git(root, "init", "--quiet", "--initial-branch", "main")
    for name, value in {"user.name": "Test", "user.email": "test@growset.example"}.items():
        run_git(root, "config", name, value)
    run_git(root, "add", "params.yaml", "recipes")
    run_git(root, "commit", "--quiet", "--message", "Start")
    pointer = workspace.published("base").with_suffix(".dvc")
    pointer.parent.mkdir()
    pointer.write_text("outs: []\n")
    pointer.with_name(".gitignore").write_text("/base\n")
    (root / "dvc.lock").write_text(LOCK)
    workspace.edit_params(source_versions={"base": "abc", "twin": "def"}, expansions=["base", "twin", "idle"])
    return pointer
