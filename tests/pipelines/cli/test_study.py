"""The command `growset study`: what it says, its exit codes, and what is left after a stop."""

from __future__ import annotations

import copy
import json
import signal
from pathlib import Path

import pytest

from ops.study.results import TABLE, read_results
from ops.workspaces.locks import exclusive_study
from ops.workspaces.workspace import Workspace
from tests.interruptions import start, stop
from tests.kills import wait_for
from tests.studies import CONTENT, Content, make_workspace, write_study
from tests.workspaces import growset


@pytest.fixture
def main(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path.resolve() / "main")


@pytest.fixture
def content() -> Content:
    """One setting and seed; two cells."""
    found = copy.deepcopy(CONTENT)
    part = found["parts"]["small"]
    part |= {"settings": {"6": part["settings"]["6"]}, "seeds": [0], "networks": {}, "ensembles": {}}
    return found


def test_it_runs_says_what_is_done_and_draws_the_page(main: Workspace, content: Content) -> None:
    write_study(main, content)
    done = growset(main.root, "study", "digits")
    assert done.exit_code == 0, done.output
    folder = main.root / "studies" / "digits"
    assert done.output.splitlines()[0] == "  study digits: Which arm is better?"
    assert done.output.splitlines()[-2:] == ["2 of 2 cells are done", str(folder / "README.md")]
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "figure.svg", "grid.yaml", TABLE]
    before = (folder / TABLE).read_bytes()
    again = growset(main.root, "study", "digits")
    assert "trainings" not in again.output
    assert (folder / TABLE).read_bytes() == before


def test_quick_keeps_nothing(main: Workspace, content: Content) -> None:
    write_study(main, content)
    before = sorted(main.root.rglob("*"))
    done = growset(main.root, "study", "digits", "--quick")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "all parts of digits run: 2 small cells, none of them kept"
    assert sorted(main.root.rglob("*")) == before


def test_a_budget_says_what_is_left(main: Workspace, content: Content) -> None:
    write_study(main, content)
    done = growset(main.root, "study", "digits", "--budget", "0.0001")
    assert done.exit_code == 0, done.output
    assert "1 of 2 cells are done; 1 are left, growset study digits goes on" in done.output
    both = growset(main.root, "study", "digits", "--budget", "1", "--quick")
    assert (both.exit_code, both.output) == (
        2,
        "growset: --budget has no effect with --quick, which keeps nothing; remove one of them\n",
    )
    assert growset(main.root, "study", "digits", "--budget", "0").exit_code == 2


def test_mistakes_exit_2_damage_4_and_a_second_process_3(main: Workspace, content: Content) -> None:
    def fail(code: int, sentence: str) -> None:
        done = growset(main.root, "study", "digits")
        said = [line for line in done.output.splitlines() if line.startswith("growset: ")]
        assert (done.exit_code, len(said)) == (code, 1), done.output
        assert sentence in said[0]

    fail(2, "this workspace has no study")
    study = write_study(main, content)
    with exclusive_study(main, "digits"):
        fail(3, "the study 'digits' is being run by another process")
    (study.folder / "README.md").write_text("<!-- end of results -->")
    fail(2, f"{study.folder / 'README.md'} must have both marks")
    (study.folder / "README.md").unlink()
    (study.folder / TABLE).write_bytes(b"PAR1")
    fail(4, f"{study.folder / TABLE} cannot be read")
    content["parts"]["small"]["settings"]["6"] = {"data.images_per_class": 600}
    (study.folder / "grid.yaml").write_text(json.dumps(content))
    fail(2, "is to have 600 training images")


@pytest.mark.slow
def test_ctrl_c_ends_it_with_a_sentence_and_the_next_call_goes_on(main: Workspace, content: Content) -> None:
    part = content["parts"]["small"]
    part["networks"], part["steps"] = {"plain": 50}, [100]
    write_study(main, content)
    process = start(main.root, ("growset", "study", "digits"))
    trained = ".growset/studies/digits/*/trainings/*/*.safetensors"
    wait_for(lambda: len(list(main.root.glob(trained))) > 1 or process.poll() is not None, seconds=120, pause=0.05)
    ending = stop(main.root, process)
    block = "small, setting 6, 100 steps, seed 0"
    ending.check(signal.SIGINT, f"stopped in the block {block}; go on with: growset study digits")
    kept = {path.name: path.read_bytes() for path in main.root.glob(trained)}
    assert len(kept) > 1
    part["networks"] = {"plain": 2}
    study = write_study(main, content)
    assert growset(main.root, "study", "digits", "--budget", "0.0001").exit_code == 0
    assert len(read_results(study.folder)) == 2 * 2
    still = {path.name: path.read_bytes() for path in main.root.glob(trained)}
    assert {name: still[name] for name in kept if name in still} == {name: kept[name] for name in kept if name in still}
    assert len(set(still) & set(kept)) > 1
