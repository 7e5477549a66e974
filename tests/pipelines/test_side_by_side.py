"""Two processes in one workspace: the second gets a message, and neither spoils the work of the other."""

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from assets.pools import COMPUTE
from ops.history.dvc_repository import changed_stages, commit_stage, stage_addresses
from ops.machine.waiting import Waiting
from ops.workspaces.locks import RUN, is_running, mark_alive
from ops.workspaces.workspace import Workspace
from pipelines.instance import open_instance
from pipelines.lost_runs import announce_run
from tests.kills import find_phase, wait_for
from tests.workspaces import growset, user_environment

Edit = Callable[[Path, str, str], None]


@contextmanager
def running(root: Path) -> Iterator["subprocess.Popen[str]"]:
    """`growset run digits` in a process of its own, which is at work."""
    with subprocess.Popen(
        ["growset", "run", "digits"],
        cwd=root,
        env=user_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not is_running(Workspace(root), "digits", RUN):
                assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def complete(process: "subprocess.Popen[str]") -> None:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


@pytest.fixture
def stale_workspace(finished_workspace: Path, edit_recipe: Edit) -> Path:
    """Four stages and the publication are to be done: enough to be met at work."""
    edit_recipe(finished_workspace, "real_weight: 4.0", "real_weight: 7.0")
    return finished_workspace


def test_the_second_run_of_an_expansion_is_refused_and_the_first_completes(
    finished_workspace: Path, edit_recipe: Edit
) -> None:
    """Verdict and publication are to be done, which takes many times longer than to be refused."""
    edit_recipe(finished_workspace, "verdict: {}", "verdict: {confidence: 0.9}")
    with running(finished_workspace) as first:
        second = growset(finished_workspace, "run", "digits")
        assert (second.exit_code, second.output) == (
            3,
            "growset: 'digits' is being run by another process; wait for it or stop it\n",
        )
        complete(first)
    assert changed_stages(finished_workspace, stage_addresses("digits")) == {}
    assert "digits: unchanged" in growset(finished_workspace, "run", "digits").output


def test_a_run_that_waits_for_a_slot_in_a_pool_reports_it(
    finished_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run has it, of the UI or of another expansion; its process lives."""
    workspace, other = Workspace(finished_workspace), "5f3c3b4e-0000-4000-8000-000000000001"
    with open_instance(workspace) as instance, announce_run(workspace, other) as tags:
        instance.event_log_storage.initialize_concurrency_limit_to_default("compute")
        create_run_for_test(instance, run_id=other, tags=tags, status=dg.DagsterRunStatus.STARTED)
        assert instance.event_log_storage.claim_concurrency_slot("compute", other, "generator").is_claimed
        said: list[str] = []

        def let_go(waiting: Waiting, what: str) -> None:
            said.append(what)
            instance.event_log_storage.free_concurrency_slots_for_run(other)

        monkeypatch.setattr(Waiting, "say", let_go)
        result = growset(finished_workspace, "materialize", "expansion_plan", "digits")
    assert result.exit_code == 0, result.output
    assert said == ["a slot in the pool compute for expansion_plan: another run has it"]


@contextmanager
def computing(root: Path) -> Iterator[None]:
    """A step of a run in the UI is at work: it holds the one slot of the pool, and its process lives."""
    workspace, other = Workspace(root), "5f3c3b4e-0000-4000-8000-000000000001"
    with open_instance(workspace) as instance, mark_alive(workspace, other):
        instance.event_log_storage.initialize_concurrency_limit_to_default(COMPUTE)
        create_run_for_test(instance, run_id=other, status=dg.DagsterRunStatus.STARTED)
        assert instance.event_log_storage.claim_concurrency_slot(COMPUTE, other, "generated_images").is_claimed
        yield
        instance.event_log_storage.free_concurrency_slots_for_run(other)


def test_a_stage_of_dvc_repro_waits_for_no_step_of_the_ui(
    finished_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step would wait too: for DVC, which records its output and must first know what `dvc repro` makes of it."""
    monkeypatch.setenv("DVC_STAGE", "expansion_plan@digits")
    with computing(finished_workspace):
        result = growset(finished_workspace, "materialize", "expansion_plan", "digits")
    assert result.exit_code == 0 and "waiting" not in result.output, result.output


@pytest.mark.slow
def test_dvc_repro_and_a_step_of_the_ui_do_not_block_each_other(
    finished_workspace: Path, edit_recipe: Edit, tmp_path: Path
) -> None:
    """The step's output is recorded while DVC makes one of its inputs anew; both end."""
    edit_recipe(finished_workspace, "plan: {ratio: 1.0", "plan: {ratio: 2.0")
    output, rwlock = finished_workspace / "data" / "digits" / "expansion_plan", finished_workspace / ".dvc/tmp/rwlock"
    with (
        computing(finished_workspace),
        (tmp_path / "repro.txt").open("w") as told,
        subprocess.Popen(
            ["dvc", "repro", "expansion_plan@digits"],
            cwd=finished_workspace,
            env=user_environment(),
            stdout=told,
            stderr=told,
        ) as repro,
        ThreadPoolExecutor(1) as thread,
    ):
        try:
            wait_for(lambda: rwlock.exists() and str(output) in rwlock.read_text(), seconds=120)
            recorded = thread.submit(commit_stage, finished_workspace, "generated_images@digits")
            assert repro.wait(300) == 0, (tmp_path / "repro.txt").read_text()
            recorded.result(300)
        finally:
            repro.kill()


@pytest.mark.slow
def test_beside_dvc_repro_a_run_waits_and_then_finds_the_work_done(stale_workspace: Path) -> None:
    command = ["dvc", "--wait-for-lock", "repro"]
    with subprocess.Popen(
        command, cwd=stale_workspace, env=user_environment(), stdout=subprocess.PIPE, text=True
    ) as repro:
        try:
            wait_for(lambda: find_phase(stale_workspace) == "mixed_dataset" or repro.poll() is not None, seconds=120)
            result = growset(stale_workspace, "run", "digits")
            output, _ = repro.communicate(timeout=300)
        finally:
            repro.kill()
    assert (repro.returncode, result.exit_code) == (0, 0), (output, result.output)
    others = ("check failed", "fewer than 5 seeds", "is below this Growset's")
    lines = [line for line in result.stderr.splitlines() if not any(each in line for each in others)]
    assert lines and all(line.startswith("growset: waiting for ") for line in lines), result.stderr
    assert changed_stages(stale_workspace, stage_addresses("digits")) == {}


@pytest.mark.slow
def test_a_yaml_error_in_one_active_recipe_does_not_stop_the_run_of_another(stale_workspace: Path) -> None:
    broken = stale_workspace / "recipes" / "broken.yaml"
    broken.write_text((stale_workspace / "recipes" / "digits.yaml").read_text())
    assert growset(stale_workspace, "activate", "broken").exit_code == 0
    with running(stale_workspace) as first:
        broken.write_text(broken.read_text().replace("mix: {", "mix: {{"))
        for command in ("run", "check"):
            result = growset(stale_workspace, command, "broken")
            assert result.exit_code == 2
            assert result.output.startswith(f"growset: {broken} is not valid YAML at line ")
            assert result.output.count("\n") == 1
        complete(first)
    assert not (stale_workspace / "data" / "broken").exists()
    unchanged = growset(stale_workspace, "run", "digits")
    assert (unchanged.exit_code, "digits: unchanged" in unchanged.output) == (0, True), unchanged.output
