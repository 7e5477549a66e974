"""A workspace without data: two active recipes with equal content, one that is not active, all stage versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.recipe.stages import STAGES
from ops.workspace import Workspace

RECIPE = """\
source: insects
seed: 0
on_new_images: retrain
data: {}
plan: {ratio: 2.0}
scorer: {}
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
