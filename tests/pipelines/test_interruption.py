"""Ctrl-C and SIGTERM in real commands: one sentence, the exit code, nothing left running, and everything whole.

test_kills.py tests that a stopped run continues and equals an unkilled one.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import ops.history.committing
from ops.chain.driver import Chain
from ops.history.dvc_repository import LOCK, changed_stages, commit_stage, stage_addresses
from ops.machine.interruption import Interrupted
from ops.workspaces.workspace import Workspace
from tests.interruptions import start, stop, stop_in
from tests.kills import LIMIT, PATIENCE, find_phase, lives, wait_for
from tests.versions import publish_with_commits
from tests.workspaces import growset, run

Edit = Callable[[Path, str, str], None]
RUN = ("growset", "run", "digits", "--workers", "2")
LONG_SCORER = ("scorer: {folds: 2, steps: 40,", "scorer: {folds: 2, steps: 40000,")
LONG_GENERATOR = ("{widths: [8, 16], steps: 60,", "{widths: [8, 16], steps: 60000,")
MANY_IMAGES = ("plan: {ratio: 1.0,", "plan: {ratio: 1000.0,")


@pytest.fixture(scope="module")
def long_workspace(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace of which one stage after the other can be made to take minutes."""
    return shutil.copytree(_finished, tmp_path_factory.mktemp("long") / "workspace", symlinks=True)


@pytest.fixture
def prepare(long_workspace: Path) -> Iterator[Callable[[str, str], Path]]:
    """Edit the recipe for one test."""
    path = long_workspace / "recipes" / "digits.yaml"
    before = path.read_text()

    def edit(old: str, new: str) -> Path:
        assert old in before
        path.write_text(before.replace(old, new))
        return long_workspace

    yield edit
    path.write_text(before)


@pytest.mark.parametrize("delay", [0.2, 0.6])
def test_at_the_start(long_workspace: Path, delay: float) -> None:
    """The delay is processor time: beside other work a process may not have come to our code after 0.2 seconds."""
    process = start(long_workspace, RUN)
    begun = psutil.Process(process.pid)
    wait_for(lambda: sum(begun.cpu_times()[:2]) >= delay, seconds=PATIENCE)
    ending = stop(long_workspace, process)
    place = ending.told.splitlines()[-1].removeprefix("growset: stopped ").partition(";")[0]
    later = "while 'digits' was validated", "between the stages of 'digits'"
    assert place in ("before it began", "in the command run", *later)
    ending.check(signal.SIGINT, f"stopped {place}; go on with: {' '.join(RUN)}")


def test_while_worker_processes_train(prepare: Callable[[str, str], Path]) -> None:
    """From the moment when they are started: their imports must not show a traceback either."""
    root = prepare(*LONG_SCORER)
    process = start(root, RUN)
    # Two workers, the server that they are forked from, and the cleaner.
    wait_for(lambda: len(psutil.Process(process.pid).children(recursive=True)) == 4, seconds=PATIENCE)
    time.sleep(0.3)
    stop(root, process).check(signal.SIGINT, f"stopped in stage scorer of 'digits'; go on with: {' '.join(RUN)}")


@pytest.mark.slow
def test_while_worker_processes_draw_images_by_sigterm(prepare: Callable[[str, str], Path]) -> None:
    ending = stop_in(prepare(*MANY_IMAGES), RUN, "generated_images", 3.0, signal.SIGTERM, group=False)
    ending.check(signal.SIGTERM, f"stopped in stage generated_images of 'digits'; go on with: {' '.join(RUN)}")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize(
    ("edit", "phase", "delay"),
    [(LONG_SCORER, "scorer", 0.2), (LONG_SCORER, "scorer", 6.0), (LONG_GENERATOR, "generator", 1.0)],
)
def test_in_training(
    prepare: Callable[[str, str], Path], edit: tuple[str, str], phase: str, delay: float, group: bool, number: int
) -> None:
    ending = stop_in(prepare(*edit), RUN, phase, delay, number, group=group)
    ending.check(number, f"stopped in stage {phase} of 'digits'; go on with: {' '.join(RUN)}")


@pytest.mark.slow
@pytest.mark.parametrize("again", [0.05, 0.7])
def test_a_second_time_while_it_stops(prepare: Callable[[str, str], Path], again: float) -> None:
    ending = stop_in(prepare(*LONG_SCORER), RUN, "scorer", 5.0, again=again)
    ending.check(signal.SIGINT, f"stopped in stage scorer of 'digits'; go on with: {' '.join(RUN)}")


@pytest.mark.slow
def test_in_a_stage_of_dvcs(prepare: Callable[[str, str], Path]) -> None:
    """Ctrl-C reaches the stage, and DVC says that it failed; who stops DVC alone stops the stage all the same."""
    root = prepare(*LONG_GENERATOR)
    sentence = "growset: stopped in stage generator of 'digits'; go on with: dvc repro\n"
    ending = stop_in(root, ("dvc", "repro"), "generator", 1.0)
    assert ending.code != 0 and ending.survivors == () and ending.seconds < LIMIT
    assert ending.told.startswith(sentence) and "Traceback" not in ending.told
    process = start(root, ("dvc", "repro"))
    wait_for(lambda: find_phase(root) == "generator", seconds=PATIENCE)
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    process.wait()
    wait_for(lambda: not any(map(lives, family)), seconds=LIMIT)
    told = (root.parent / "stderr.txt").read_text()
    assert told.endswith(sentence) and "Traceback" not in told


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.3, 1.5, 3.0, 4.5])
@pytest.mark.parametrize(
    "command",
    [
        ("materialize", "report", "digits"),
        ("pull", "digits"),
        ("plan", "digits"),
        ("export", "digits", "--format", "folder", "--to", "../exported"),
        ("generate", "digits", "--count", "50000", "--out", "../drawn"),
        ("init", "../new", "--source", "images"),
        ("status",),
        ("bench", "metrics"),
    ],
)
def test_other_commands(long_workspace: Path, command: tuple[str, ...], delay: float) -> None:
    """They end with the sentence, or had ended before; what they make is there as a whole or not at all."""
    made = [long_workspace.parent / name for name in ("exported", "drawn", "new")]
    process = start(long_workspace, ("growset", *command))
    try:
        time.sleep(delay)
        if process.poll() is None:
            ending = stop(long_workspace, process)
            if ending.code:
                assert ending.code == 130, ending
                assert ending.told.splitlines()[-1].endswith(f"; go on with: growset {' '.join(command)}"), ending
                assert "Traceback" not in ending.told and ending.survivors == () and ending.seconds < LIMIT
                assert not any(folder.exists() and any(folder.iterdir()) for folder in made)
    finally:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sigterm_raises() -> Iterator[None]:
    def interrupt(number: int, frame: object) -> None:
        raise Interrupted(number)

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


def test_while_dvc_commits_its_files_are_whole(
    finished_workspace: Path, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch, sigterm_raises: None
) -> None:
    from dvc.dvcfile import Lockfile

    edit_recipe(finished_workspace, "examples_per_class: 2", "examples_per_class: 3")
    dump, signals = Lockfile.dump_stages, []

    def dump_stopped(*arguments: Any, **options: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        signals.append(1)
        dump(*arguments, **options)

    monkeypatch.setattr(Lockfile, "dump_stages", dump_stopped)
    monkeypatch.setattr("ops.chain.driver.commit_stage", lambda root, name: None)
    Chain(Workspace(finished_workspace)).run("digits", "report")
    before = (finished_workspace / LOCK).read_text()
    with pytest.raises(Interrupted):
        commit_stage(finished_workspace, "report@digits")
    assert signals and (finished_workspace / LOCK).read_text() != before
    # The other stage that reads the section `report` was not run again; growset knows that its own keys did not change.
    assert set(changed_stages(finished_workspace, stage_addresses("digits"))) == {"label_curve@digits"}


def test_a_publications_commit_is_whole(
    finished_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sigterm_raises: None
) -> None:
    publish_with_commits(finished_workspace, str(tmp_path / "storage"))
    git, signals = ops.history.committing.run_git, []

    def stopped(root: Path, *arguments: str, **options: Any) -> str:
        if "advance" in arguments:
            signals.append(1)
            signal.raise_signal(signal.SIGTERM)
        return git(root, *arguments, **options)

    monkeypatch.setattr(ops.history.committing, "run_git", stopped)
    growset(finished_workspace, "run", "digits")
    assert signals
    assert run(finished_workspace, "git", "tag").stdout.split() == ["digits/v1"]
    assert run(finished_workspace, "git", "status", "--porcelain", "-uno").stdout == ""
