"""Real runs that are killed, or stopped by Ctrl-C and SIGTERM, at random times; what they leave is completed and
equals a run that was not killed.

$GROWSET_KILL_SEED chooses the times again; it is printed with every kill. $GROWSET_KILLS is the least number of kills
of the whole campaign, 40 if it is not set; a tenth of it is enough to try a change. Everything runs on one core, so
that the same sums are made whatever else the machine does.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

import dagster as dg
import psutil
import pytest

from ops.files.manifests import PUBLISHED
from ops.recipe.stages import STAGES
from pipelines.lost_runs import UNFINISHED
from tests.equality import find_differences, find_git_differences
from tests.kills import (
    EXPANSION,
    PATIENCE,
    REPRO,
    RUN,
    SIGNALS,
    TOTAL,
    Record,
    copy_workspace,
    draw_lives,
    find_phase,
    finish,
    kill,
    lives,
    make_template,
    measure_phases,
    seeded,
    wait_for,
)
from tests.ui import ENDED, LOCATIONS, Client, find_code_server, find_worker, serve
from tests.workspaces import one_core, run

LONGER = (("ratio: 1.0", "ratio: 18.0"), ("steps: 60", "steps: 150"), ("seeds: 2", "seeds: 3"))
PHASES = ("generator", "generated_images", "accepted_images", "baseline_classifiers", "expanded_classifiers", PUBLISHED)
COMMITS = 2  # in a template
WANTED = int(os.environ.get("GROWSET_KILLS", 40))  # kills in all
AT_ANY_TIME = {"run": 0.3, "repro": 0.25}  # shares of them; the rest falls into the phases and on the UI
LEAST = {"run": 0.0, "repro": 3.0}  # seconds of a life: DVC's own start says nothing when it is interrupted
IN_A_PHASE = max(1, round(0.4 * WANTED / len(PHASES)))


@pytest.mark.slow
def test_kills_of_a_run_lose_nothing_and_double_nothing(
    finished_workspace: Path, run_seconds: float, tmp_path: Path
) -> None:
    """Ctrl-C, `kill -9` and SIGTERM in one workspace, through two doors; the last run publishes, commits and tags."""
    draw, seed = seeded(20250301)
    record = Record()
    root = make_template(tmp_path / "killed" / "workspace")
    with one_core():
        lives = draw_lives(draw, run_seconds, 3)
        for life, command, number, alone in zip(
            lives, (RUN, REPRO, RUN), (signal.SIGINT, signal.SIGKILL, signal.SIGTERM), (False, False, True), strict=True
        ):
            record.attempt(root, command, life, number=number, alone=alone)
        finish(root, RUN)
    print(f"GROWSET_KILL_SEED={seed}", *record.kills, sep="\n  ")
    assert record.kills
    assert find_differences(finished_workspace, root, EXPANSION, len(record.kills)) == []
    assert find_git_differences(root, EXPANSION, COMMITS) == []


@dataclass
class Campaign:
    """Shared by the long tests: a template, a run of it that was not killed, times, and the kills of all tests."""

    template: Path
    finished: Path
    seconds: dict[str, dict[str, float]]  # of the phases and the whole of a run, by door
    draw: random.Random
    record: Record

    def check(self, root: Path, kills: int) -> None:
        assert find_differences(self.finished, root, EXPANSION, kills) == [], self.record.kills[-kills:]
        assert find_git_differences(root, EXPANSION, COMMITS) == [], self.record.kills[-kills:]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    folder = tmp_path_factory.mktemp("campaign")
    draw, seed = seeded(int(time.time()))
    print(f"\nGROWSET_KILL_SEED={seed}", flush=True)
    template = make_template(folder / "template" / "workspace", *LONGER)
    finished, repeated = (copy_workspace(template, folder / name) for name in ("finished", "repeated"))
    with one_core():
        seconds = {"run": measure_phases(finished, RUN), "repro": measure_phases(repeated, REPRO)}
        finish(repeated, RUN)
        prepared = Campaign(template, finished, seconds, draw, Record())
        prepared.check(repeated, 0)
        yield prepared
    print(f"kills_survived: {len(prepared.record.kills)}", *prepared.record.kills, sep="\n  ")


@pytest.mark.slow
@pytest.mark.parametrize("door", AT_ANY_TIME)
def test_kills_at_any_time(campaign: Campaign, tmp_path: Path, door: str) -> None:
    """Up to three in a workspace, by each signal in turn; every other one to the command alone, whose children must
    notice or do no harm."""
    command, done = {"run": RUN, "repro": REPRO}[door], 0
    wanted = round(AT_ANY_TIME[door] * WANTED)
    for number in range(2 * wanted):
        if done >= wanted:
            break
        root = copy_workspace(campaign.template, tmp_path / str(number))
        kills = 0
        for life in draw_lives(campaign.draw, campaign.seconds[door][TOTAL], 3):
            number = SIGNALS[(done + kills) % len(SIGNALS)]
            started, alone = time.monotonic(), (done + kills) % 2 == 1
            if not campaign.record.attempt(root, command, max(life, LEAST[door]), number=number, alone=alone):
                if not kills:  # a whole run took less than was measured, beside other work
                    campaign.seconds[door][TOTAL] = time.monotonic() - started
                break
            kills += 1
        finish(root, command)
        finish(root, RUN)  # publishes what `dvc repro` made
        campaign.check(root, kills)
        shutil.rmtree(root.parent)
        done += kills
    assert done >= wanted


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_kills_in_a_phase(campaign: Campaign, tmp_path: Path, phase: str) -> None:
    """In a workspace that is complete up to the phase; the delay is drawn over the phase's measured time."""
    root = copy_workspace(campaign.finished, tmp_path)
    seconds = campaign.seconds["run"][phase]
    kills, hits = 0, 0
    for attempt in range(3 * IN_A_PHASE):
        forget(root, phase)
        delay, number = campaign.draw.uniform(0, seconds), SIGNALS[(attempt + PHASES.index(phase)) % len(SIGNALS)]
        if campaign.record.attempt(root, RUN, delay, number=number, alone=attempt % 2 == 1, after=phase):
            kills += 1
            hits += campaign.record.kills[-1].endswith(f": {phase}")
        if hits == IN_A_PHASE:
            break
    finish(root, RUN)
    campaign.check(root, 1 + kills)  # the run before the first kill logged its evaluation too
    assert hits


def forget(root: Path, phase: str) -> None:
    """As if the outputs from this phase on had never been made, nor published."""
    chain = [*STAGES, PUBLISHED]
    for stage in chain[chain.index(phase) :]:
        shutil.rmtree(root / "data" / EXPANSION / stage, ignore_errors=True)
    shutil.rmtree(root / "published", ignore_errors=True)
    (root / ".growset" / "pushed" / f"{EXPANSION}.json").unlink(missing_ok=True)
    if run(root, "git", "tag").stdout:
        run(root, "git", "tag", "--delete", f"{EXPANSION}/v1")
        run(root, "git", "reset", "--quiet", "HEAD^")


@pytest.mark.slow
def test_kills_of_the_uis_run_worker(campaign: Campaign, tmp_path: Path) -> None:
    """The worker alone, whose own workers must notice; with them; by SIGTERM; the daemon; the UI with all that it
    started; and the code server. The daemon starts a run whose worker died again, so others are at work beside the
    last one."""
    unkilled = copy_workspace(campaign.template, tmp_path / "unkilled")
    with serve(unkilled) as client:
        started = time.monotonic()
        assert client.wait_for_end(client.launch(EXPANSION), seconds=PATIENCE) == "SUCCESS"
        seconds = time.monotonic() - started
    campaign.check(unkilled, 0)

    root, kills = copy_workspace(campaign.template, tmp_path / "killed"), 0
    with serve(root) as client:
        for number, alone in ((signal.SIGKILL, True), (signal.SIGTERM, True), (signal.SIGKILL, False)):
            kills += kill_worker(campaign, client, root, campaign.draw.uniform(0, seconds), number, alone=alone)
    for number, whom in ((signal.SIGKILL, "daemon"), (signal.SIGTERM, "daemon"), (signal.SIGKILL, "UI")):
        with serve(root) as client:
            client.launch(EXPANSION)
            time.sleep(campaign.draw.uniform(0, seconds / 2))
            if whom == "daemon":
                (daemon,) = find_daemons(client.process)
                daemon.send_signal(number)
                wait_for(lambda daemon=daemon: not lives(daemon), seconds=PATIENCE)
            phase = find_phase(root)
            kill(psutil.Process(client.process), alone=False)  # without its daemon the UI does not work
        campaign.record.kills.append(f"{number.name} to the {whom}, and the UI with all that it started: {phase}")
        kills += 1
    with serve(root) as client:
        client.launch(EXPANSION)
        for whom in ("code server", "code server's process that starts runs"):
            time.sleep(campaign.draw.uniform(0, seconds / 2))
            phase, outer = find_phase(root), find_code_server(client.process)
            (outer if whom == "code server" else outer.children()[0]).kill()
            wait_for(lambda outer=outer: not lives(outer), seconds=PATIENCE)  # `growset ui` ends the other one too
            campaign.record.kills.append(f"SIGKILL to the {whom}: {phase}")
            kills += 1
            wait_for(lambda client=client: try_to_launch(client), seconds=PATIENCE, pause=1.0)
        assert client.wait_for_end(client.launch(EXPANSION), seconds=PATIENCE) == "SUCCESS"
        wait_for(lambda: count_unfinished(root) == 0, seconds=PATIENCE, pause=1.0)
    campaign.check(root, kills)
    assert kills


def try_to_launch(client: Client) -> bool:
    """Whether the run starts: the UI knows the expansion's job, and the server that starts it lives."""
    with suppress(HTTPError):  # the one that was asked has just ended
        return bool(client.ask(LOCATIONS)["repositoriesOrError"].get("nodes")) and bool(client.launch(EXPANSION))
    return False


def count_unfinished(root: Path) -> int:
    """Runs that have not ended, those in the queue too."""
    with dg.DagsterInstance.from_config(str(root / ".growset" / "dagster")) as instance:
        return instance.get_runs_count(dg.RunsFilter(statuses=[*UNFINISHED, dg.DagsterRunStatus.QUEUED]))


def find_daemons(ui: int) -> list[psutil.Process]:
    """Dagster's daemon among the processes that the UI has started."""
    family = psutil.Process(ui).children(recursive=True)
    return [each for each in family if {"dagster._daemon", "run"} <= set(each.cmdline())]


def kill_worker(campaign: Campaign, client: Client, root: Path, delay: float, number: int, *, alone: bool) -> bool:
    """Launch, and send the run worker the signal after the delay; False if the run had ended before."""
    run_id = client.launch(EXPANSION)
    deadline = time.monotonic() + delay
    wait_for(lambda: find_worker(root, run_id), seconds=PATIENCE, pause=0.5)
    time.sleep(max(0.0, deadline - time.monotonic()))
    if client.status(run_id) in ENDED:
        assert client.status(run_id) == "SUCCESS"
        return False
    phase = find_phase(root)
    worker = psutil.Process(find_worker(root, run_id))
    if number == signal.SIGKILL:
        kill(worker, alone=alone)
    else:
        worker.send_signal(number)
    whom = "alone" if alone else "with its children"
    name = signal.Signals(number).name
    campaign.record.kills.append(f"{name} to the UI's run worker {whom}, {delay:.2f} s into the run: {phase}")
    assert client.wait_for_end(run_id, seconds=PATIENCE) in ("FAILURE", "CANCELED")
    wait_for(lambda: not lives(worker), seconds=PATIENCE)
    return True
