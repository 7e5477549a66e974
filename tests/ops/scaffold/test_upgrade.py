"""`growset upgrade`: a workspace that an older Growset made gets what it lacks, and all that is the user's stays."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ops.history.figures import PLOTS
from ops.recipe.stages import STAGES
from ops.scaffold.missing import Addition, add_lines
from ops.scaffold.texts import render_parameters
from ops.scaffold.upgrade import plan_upgrade, write_upgrade
from ops.workspaces.workspace import Workspace
from tests.workspaces import ROOT, growset

PIPELINE = (ROOT / "dvc.yaml").read_text()
INPUT = "    - data/${item.expansion}/label_curve\n"  # of the report
PLOT = PIPELINE[PIPELINE.index("- figures/learning:\n") :]  # the last one
MINE = """\
  # Mine: counts what was published.
  count:   # when I like
    cmd: >-
      wc -l
      published/digits/README.md
    deps: [published/digits/README.md]
"""


def drop_stage(text: str, stage: str) -> str:
    """A dvc.yaml without a stage's block."""
    return re.sub(rf"^  {stage}:\n(?:    .*\n)+", "", text, flags=re.MULTILINE)


def make_older(text: str = PIPELINE) -> str:
    """The dvc.yaml of a Growset that knew no label curve."""
    older = drop_stage(text, "label_curve").replace(INPUT, "")
    assert "label_curve" not in older
    return older


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace without git and DVC that this Growset made, to be made older."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_text(render_parameters([]))
    return tmp_path


def make_params_older(path: Path) -> str:
    """Without the version of the label curve, and with an older one of the report."""
    text = path.read_text()
    older = re.sub(r"  label_curve: \d+\n", "", re.sub(r"  report: \d+\n", "  report: 1  # as it was\n", text))
    path.write_text(older)
    return older


def upgrade(root: Path, *options: str) -> list[str]:
    result = growset(root, "upgrade", *options)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_a_workspace_without_a_stage_gets_it_as_a_new_one_has_it(root: Path) -> None:
    new = (root / "params.yaml").read_text()
    (root / "dvc.yaml").write_text(make_older())
    make_params_older(root / "params.yaml")
    assert upgrade(root) == [
        "params.yaml: adds stage_versions.label_curve",
        f"params.yaml: raises stage_versions.report from 1 to {Workspace(ROOT).stage_version('report')}",
        "dvc.yaml: adds stages.label_curve",
        "dvc.yaml: adds stages.report.deps: data/${item.expansion}/label_curve",
        "commit it when you like it: git add params.yaml dvc.yaml",
    ]
    assert (root / "dvc.yaml").read_text() == PIPELINE
    assert (root / "params.yaml").read_text().replace("  # as it was", "") == new
    before = [(root / name).read_bytes() for name in ("dvc.yaml", "params.yaml")]
    assert upgrade(root) == [f"{root}: nothing to do, it has all that this Growset needs"]
    assert before == [(root / name).read_bytes() for name in ("dvc.yaml", "params.yaml")]


def test_a_dry_run_shows_the_difference_and_writes_nothing(root: Path) -> None:
    (root / "dvc.yaml").write_text(make_older())
    older = make_params_older(root / "params.yaml")
    said = upgrade(root, "--dry-run")
    assert "+++ dvc.yaml" in said and f"+{INPUT.rstrip()}" in said and "+  label_curve: " in " ".join(said)
    assert said[-1] == "nothing is written; to write this: growset upgrade"
    assert (root / "dvc.yaml").read_text() == make_older() and (root / "params.yaml").read_text() == older
    assert sorted(path.name for path in root.iterdir()) == ["dvc.yaml", "params.yaml", "recipes"]


def test_the_users_stages_comments_keys_and_versions_stay(root: Path) -> None:
    path = root / "dvc.yaml"
    noted = make_older().replace("  folds:\n", f"{MINE}  folds:\n    desc: all images, in turn\n", 1)
    noted = noted.replace("    - data/${item.expansion}/verdict\n", "    - data/${item.expansion}/verdict  # last\n")
    path.write_text(f"vars: [mine.yaml]\n{noted}artifacts: {{model: {{path: model.pt}}}}\n")
    params = root / "params.yaml"
    make_params_older(params)
    mine = params.read_text().replace("  scorer: ", "  mine: 99  # of my stage\n  scorer: ")
    params.write_text(f"{mine}owners: [me]\n")
    changed = params.read_text()
    upgrade(root)
    lines, found = path.read_text().splitlines(), YAML(typ="safe").load(path)
    assert [line for line in lines if line not in set(PIPELINE.splitlines())] == [
        "vars: [mine.yaml]", *MINE.splitlines(), "    desc: all images, in turn",
        "    - data/${item.expansion}/verdict  # last", "artifacts: {model: {path: model.pt}}",
    ]  # fmt: skip
    assert (
        list(found["stages"]) == [*list(STAGES)[:14], "count", *list(STAGES)[14:]] and list(STAGES)[13] == "label_curve"
    )
    assert found["stages"]["count"]["cmd"] == "wc -l published/digits/README.md"
    kept = [line for line in changed.splitlines() if "report:" not in line]
    assert [line for line in params.read_text().splitlines() if line in kept] == kept


def test_figures_are_added_beside_the_users_own(root: Path) -> None:
    path = root / "dvc.yaml"
    stages = PIPELINE[: PIPELINE.index("metrics:\n")]
    path.write_text(stages)
    upgrade(root)
    assert path.read_text() == PIPELINE
    path.write_text(PIPELINE.replace("metrics:\n- figures/metrics\n", "").replace(PLOT, ""))
    upgrade(root)
    assert YAML(typ="safe").load(path) == YAML(typ="safe").load(PIPELINE)
    path.write_text(f"{stages}metrics:\n- mine.json\nplots:\n  mine.csv:\n    x: step\n  figures/arms:\n    x: arm\n")
    upgrade(root)
    found = YAML(typ="safe").load(path)
    assert found["metrics"] == ["figures/metrics", "mine.json"] and found["plots"]["figures/arms"] == {"x": "arm"}
    assert found["plots"].keys() == {"mine.csv", *PLOTS}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cmd: growset materialize report", "cmd: my report", r"the stage report was changed .* \(cmd: 'my report"),
        ("  report:\n", "  report:\n    frozen: true\n", r"the stage report was changed by hand \(frozen: True\),"),
        ("    - data/${item.expansion}/verdict\n", "    - mine.csv\n", r"the stage report .* \(deps: 'mine.csv'\)"),
        ("    matrix:\n      expansion: ${expansions}\n", "    matrix: [a]\n", r"stage report .* \(matrix: \['a'\]\)"),
        ("metrics:\n- figures/metrics\n", "metrics: mine.json\n", r"metrics was changed by hand \('mine.json'\)"),
        ("stages:\n", "stages:\n  - mine\nmine:\n", "has no stages, so it is no file of Growset's"),
        ("stages:\n", "stages:\n  mine: [\n", "dvc.yaml is not valid YAML at line"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_one_sentence_and_nothing_is_written(
    root: Path, old: str, new: str, said: str
) -> None:
    older = make_older()
    place = older.rindex(old)
    written = older[:place] + new + older[place + len(old) :]
    (root / "dvc.yaml").write_text(written)
    params = make_params_older(root / "params.yaml")
    result = growset(root, "upgrade")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1 and re.search(said, result.stderr), result.output
    assert (root / "dvc.yaml").read_text() == written and (root / "params.yaml").read_text() == params


@pytest.mark.parametrize(
    ("name", "place", "added", "said"),
    [
        ("params.yaml", "  report: ", "99", r"stage_versions.report in .* is 99\d+, and this Growset's is \d+, so"),
        ("dvc.yaml", "    - data/${item.expansion}/verdict\n", "    - data/${item.expansion}/novel\n",
         r"the stage report has 'data/\$\{item.expansion\}/novel' in deps, which this Growset does not know, so"),
        ("dvc.yaml", "      - report\n", "      - novel\n", r"the stage report has 'novel' in params.recipes/.*, so"),
        ("dvc.yaml", "      - stage_versions.report\n", "      - stage_versions.scorer\n",
         r"the stage report has 'stage_versions.scorer' in params.params.yaml, which .*, so"),
    ],
)  # fmt: skip
def test_a_workspace_of_a_newer_growset_is_told_from_one_that_was_changed_by_hand(
    root: Path, name: str, place: str, added: str, said: str
) -> None:
    path = root / name
    before, _, after = path.read_text().rpartition(place)
    changed = f"{before}{place}{added}{after}"
    path.write_text(changed)
    refused = growset(root, "upgrade")
    assert refused.exit_code == 2 and refused.stderr.count("\n") == 1
    assert re.search(f"{said} a newer Growset made this workspace; .*update Growset", refused.stderr), refused.stderr
    assert path.read_text() == changed


def test_keys_in_braces_are_refused_and_missing_ones_are_added(root: Path) -> None:
    params = root / "params.yaml"
    params.write_text("expansions: []\nstage_versions: {real_images: 3}\n")
    result = growset(root, "upgrade")
    assert result.exit_code == 2 and "a style that Growset cannot add to at line 2, such as" in result.stderr
    params.write_text("expansions: []\nstage_versions:\n- 1\n")
    assert "'stage_versions' in" in growset(root, "upgrade").stderr
    params.write_text("expansions: []")
    upgrade(root)
    assert params.read_text().startswith("expansions: []\n\n# The version of each stage's code")
    assert YAML(typ="safe").load(params) == YAML(typ="safe").load(render_parameters([])) | {"expansions": []}


@pytest.mark.parametrize(
    "note", ["    desc: >-\n      of\n\n      labels\n", "    # the last one\n", "      # of the data\n"]
)
def test_what_ends_a_stage_stays_with_it(root: Path, note: str) -> None:
    """The text of a block and a comment, where a stage comes after it; the report's where an input comes before it."""
    path, (before, after) = root / "dvc.yaml", PIPELINE.split("  folds:\n")
    end = PIPELINE.index("  label_curve:\n")
    path.write_text(make_older(f"{PIPELINE[:end]}{note}{PIPELINE[end:]}"))
    (change,) = plan_upgrade(Workspace(root))
    assert change.new == f"{PIPELINE[:end]}{note}{PIPELINE[end:]}"
    figures = after.replace("metrics:\n", f"{note}metrics:\n")
    path.write_text(make_older(f"{before}  folds:\n{figures}"))
    (change,) = plan_upgrade(Workspace(root))
    assert change.new == f"{before}  folds:\n{figures}"


def test_a_section_of_versions_without_any_is_filled(root: Path) -> None:
    path = root / "params.yaml"
    whole = path.read_text()
    path.write_text(re.sub(r"(?<=stage_versions:)\n(?:  .*\n)+", "  # none yet\n", whole))
    assert upgrade(root)[0] == "params.yaml: adds stage_versions"
    assert path.read_text() == whole.replace("stage_versions:", "stage_versions:  # none yet")


def test_lines_end_as_they_did(root: Path) -> None:
    (root / "dvc.yaml").write_bytes(make_older().replace("\n", "\r\n").encode())
    upgrade(root)
    assert (root / "dvc.yaml").read_bytes() == PIPELINE.replace("\n", "\r\n").encode()


def test_a_fault_between_the_two_files_leaves_both_as_they_were(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "dvc.yaml").write_text(make_older())
    params, replaced, real = make_params_older(root / "params.yaml"), list[str](), os.replace
    changes = plan_upgrade(Workspace(root))

    def replace_once(old: Path, new: Path) -> None:
        """The second one fails; those that bring the files back do not."""
        replaced.append(new.name)
        if len(replaced) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(old, new)

    monkeypatch.setattr(os, "replace", replace_once)
    with pytest.raises(OSError, match="No space left"):
        write_upgrade(Workspace(root), changes)
    assert set(replaced[:2]) == {"dvc.yaml", "params.yaml"}
    assert (root / "dvc.yaml").read_text() == make_older() and (root / "params.yaml").read_text() == params
    assert sorted(path.name for path in root.iterdir()) == ["dvc.yaml", "params.yaml", "recipes"]


@pytest.mark.parametrize("stage", ["real_images", "generator", "report"])
def test_any_stage_comes_to_its_place(root: Path, stage: str) -> None:
    (root / "dvc.yaml").write_text(drop_stage(PIPELINE, stage))
    (change,) = plan_upgrade(Workspace(root))
    assert YAML(typ="safe").load(change.new) == YAML(typ="safe").load(PIPELINE)
    (root / "dvc.yaml").unlink()
    (change,) = plan_upgrade(Workspace(root))
    assert change.new == PIPELINE and change.told == ("dvc.yaml: all stages",)


def test_additions_before_one_line_keep_their_order() -> None:
    found = add_lines("a\nd", [Addition(1, ("b",), ()), Addition(1, ("c",), ()), Addition(2, ("e",), ())])
    assert found == "a\nb\nc\nd\ne\n"


def test_a_check_names_the_command_and_is_fine_after_it(fresh_workspace: Path) -> None:
    path = fresh_workspace / "dvc.yaml"
    path.write_text(make_older(path.read_text()))
    refused = growset(fresh_workspace, "check")
    assert refused.exit_code == 2 and refused.stderr.endswith("bring the workspace up to date with: growset upgrade\n")
    make_params_older(fresh_workspace / "params.yaml")
    refused = growset(fresh_workspace, "check")
    assert refused.exit_code == 2 and "stage_versions.label_curve is missing in" in refused.stderr
    said = upgrade(fresh_workspace)
    assert "dvc.yaml: adds stages.label_curve" in said
    checked = growset(fresh_workspace, "check")
    assert checked.exit_code == 0 and "digits: ok" in checked.output
    broken = path.read_text().replace("stages:\n", "stages:\n  mine:\n    cmd: a\n    outs: [data/digits/scorer]\n")
    path.write_text(make_older(broken))
    result = growset(fresh_workspace, "upgrade")
    assert result.exit_code == 2 and "DVC cannot use the stages of Growset" in result.stderr
    assert path.read_text() == make_older(broken)
