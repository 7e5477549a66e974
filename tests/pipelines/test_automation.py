"""Schedules and sensors as Dagster evaluates them: off by default, cheap, and with a reason for whatever they do."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, PRIORITY_TAG, RETRY_NUMBER_TAG
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from PIL import Image

from assets.gate import find_gate
from assets.place import AUTOMATED, EXPANSION, PUBLISH, read_place
from assets.published import build_published_dataset
from ops.chain.driver import Chain
from ops.chain.outdated import find_outdated
from ops.chain.publishing import publish
from ops.chain.updating import find_pending
from ops.chain.watch_source import read_watched
from ops.datasets.identity import content_ids
from ops.datasets.pixels import PixelDataset, build_rows, read_shards, write_shard
from ops.files.manifests import PUBLISHED, read_manifest
from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.sources.layouts import parquet
from ops.workspaces.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import open_instance
from tests.test_architecture import HEAVY
from tests.workspaces import NAMES, ROOT, set_remote, user_environment

BOTH = {"schedule": "0 3 * * 0", "on_new_images": True, "settle_minutes": 0, "least_images": 10, "least_share": 0.5}
SUNDAY = datetime(2026, 11, 29, 3, tzinfo=UTC)


def automate(root: Path, settings: Mapping[str, Any] = BOTH) -> Workspace:
    """Let the expansion run by itself."""
    recipe = root / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text() + f"automation: {json.dumps(dict(settings))}\n")
    return Workspace(root)


def add_images(root: Path, count: int) -> None:
    """The 64 training images, and negatives of the first `count` of them."""
    path = root / "images" / "train-00000-of-00001.parquet"
    known = read_shards([path]).select(np.arange(64))
    images = np.concatenate([known.images, 255 - known.images[:count]])
    labels = np.concatenate([known.labels, known.labels[:count]])
    write_shard(path, PixelDataset(images, build_rows(labels, content_ids(images), split="train"), NAMES))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "history").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "history")) as instance:
        yield instance


class Ticks:
    """Evaluates the sensor or the schedule of `digits` as the daemon does, with its cursor."""

    def __init__(self, workspace: Workspace, instance: dg.DagsterInstance) -> None:
        self.definitions, self.instance = build_definitions(workspace), instance
        self.cursor: str | None = None

    def look(self) -> tuple[list[dg.RunRequest], str | None]:
        sensor = self.definitions.resolve_sensor_def("new_images_digits")
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        self.cursor = tick.cursor
        return list(tick.run_requests or []), tick.skip_message

    def plan(self) -> tuple[list[dg.RunRequest], str | None]:
        schedule = self.definitions.resolve_schedule_def("scheduled_digits")
        context = dg.build_schedule_context(instance=self.instance, scheduled_execution_time=SUNDAY)
        tick = schedule.evaluate_tick(context)
        return list(tick.run_requests or []), tick.skip_message


def test_both_are_off_until_somebody_switches_them_on(fresh_workspace: Path) -> None:
    workspace = automate(fresh_workspace, {**BOTH, "timezone": "Europe/Berlin"})
    definitions = build_definitions(workspace)
    schedule, sensor = (
        definitions.resolve_schedule_def("scheduled_digits"),
        definitions.resolve_sensor_def("new_images_digits"),
    )
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * 0", "Europe/Berlin")
    assert schedule.job_name == sensor.job_name == "expand_digits"
    assert not list(build_definitions(workspace, Chain(workspace)).schedules or []), "the command line has no daemon"


def test_there_is_what_the_recipe_asks_for(fresh_workspace: Path) -> None:
    def name(definitions: dg.Definitions) -> set[str]:
        parts = [*(definitions.schedules or []), *(definitions.sensors or [])]
        return {part.name for part in parts} - {"free_lost_runs", "record_outputs"}

    assert name(build_definitions(Workspace(fresh_workspace))) == {"recipe_is_wrong"}
    alerts = {"recipe_is_wrong", "run_failed", "verdict_turned"}
    text = (fresh_workspace / "recipes" / "digits.yaml").read_text()
    for settings, expected in (
        ({"schedule": "0 3 * * 0"}, {"scheduled_digits"}),
        ({"on_new_images": True}, {"new_images_digits"}),
        ({"on_changed_recipe": True}, {"changed_recipe_digits"}),
    ):
        assert name(build_definitions(automate(fresh_workspace, settings))) == expected | alerts
        (fresh_workspace / "recipes" / "digits.yaml").write_text(text)


def test_a_source_that_grows_twice(fresh_workspace: Path, instance: dg.DagsterInstance) -> None:
    workspace = automate(fresh_workspace)
    ticks, chain = Ticks(workspace, instance), Chain(workspace)
    (first,), _ = ticks.look()
    assert first.tags[PUBLISH] == "not_hurts" and first.run_key
    assert ticks.look() == ([], "the run on these files did not succeed; it is repeated when they change")
    chain.run("digits", "real_images")
    assert ticks.look() == ([], "unchanged since the last run: 360 images")
    keys = {first.run_key}
    for count in (12, 24):
        add_images(workspace.root, count)
        (request,), _ = ticks.look()
        keys.add(request.run_key)
        chain.run("digits", "real_images")
        assert ticks.look()[1] == f"unchanged since the last run: {360 + count} images"
    assert len(keys) == 3


def add_run(instance: dg.DagsterInstance, status: str, **how: Any) -> dg.DagsterRun:
    """A run as the UI keeps it; one that is queued needs a place where its job is."""
    place = GrpcServerCodeLocationOrigin(host="localhost", port=1, location_name="growset")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(place, "__repository__"), "expand_digits")
    return create_run_for_test(instance, status=dg.DagsterRunStatus[status], remote_job_origin=origin, **how)


def test_nothing_starts_beside_a_run(fresh_workspace: Path, instance: dg.DagsterInstance) -> None:
    ticks = Ticks(automate(fresh_workspace), instance)
    running = add_run(instance, "STARTED", tags={EXPANSION: "digits"})
    assert ticks.look() == ticks.plan() == ([], "a run is going on")
    instance.report_run_canceled(running)
    keys = frozenset({dg.AssetKey(["sources", "digits"]), dg.AssetKey(["digits", "scorer"])})
    waiting = add_run(instance, "QUEUED", job_name=IMPLICIT_ASSET_JOB_NAME, asset_selection=keys)
    assert ticks.look() == ticks.plan() == ([], "a run is going on"), "the UI's, of selected assets: it has no tag yet"
    instance.report_run_canceled(waiting)
    add_run(instance, "STARTED", tags={EXPANSION: "other"})
    assert len(ticks.look()[0]) == 1


def test_runs_that_start_by_themselves_take_turns(fresh_workspace: Path) -> None:
    """Schedule and sensor may both ask for one in the same minute: the queue holds the second back."""
    queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
    with open_instance(Workspace(fresh_workspace)) as instance:

        def add(status: str, automated: str | None = None, **tags: str) -> str:
            more = {} if automated is None else {AUTOMATED: automated}
            return add_run(instance, status, tags={EXPANSION: automated or "digits", **more, **tags}).run_id

        def find_next() -> list[str]:
            known = queue._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)
            return [run.run_id for run in known]

        first, _, other = add("QUEUED", "digits"), add("QUEUED", "digits"), add("QUEUED", "other")
        assert find_next() == [first, other]
        add("STARTED", "digits")
        assert find_next() == [other], "two in all, and one of each expansion"
        mine = add("QUEUED", **{PRIORITY_TAG: "1"})
        assert find_next() == [mine], "nobody's own run waits for this"


def test_a_changed_recipe_starts_one_run(finished_workspace: Path, instance: dg.DagsterInstance) -> None:
    workspace = automate(finished_workspace, {"on_changed_recipe": True, "settle_minutes": 0, "publish": "never"})
    sensor = build_definitions(workspace).resolve_sensor_def("changed_recipe_digits")
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED and sensor.job_name == "expand_digits"
    cursor: str | None = None

    def look() -> tuple[list[dg.RunRequest], str | None]:
        nonlocal cursor
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=cursor))
        cursor = tick.cursor
        return list(tick.run_requests or []), tick.skip_message

    assert look() == ([], "every output follows from the recipe and the versions of its stages")
    assert look() == ([], "the recipe and the versions of its stages are unchanged")
    recipe = finished_workspace / "recipes" / "digits.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("real_weight", "weight"))
    assert "unknown key 'mix.weight'" in (look()[1] or ""), "a recipe that is wrong starts nothing"
    recipe.write_text(text.replace("real_weight: 4.0", "real_weight: 5.0"))
    (first,), _ = look()
    assert {PUBLISH: "never", AUTOMATED: "digits"}.items() <= first.tags.items() and first.run_key
    assert look() == ([], "the recipe and the versions of its stages are unchanged"), "whatever became of the run"
    recipe.write_text(text)
    assert look()[0] == [], "its outputs are still here"
    workspace.edit_params(stage_versions={"report": 2})
    (second,), _ = look()
    assert second.run_key not in (None, first.run_key)


def test_a_schedule_runs_what_is_not_current(finished_workspace: Path, instance: dg.DagsterInstance) -> None:
    ticks = Ticks(automate(finished_workspace), instance)
    assert ticks.plan() == ([], "unchanged: 360 images, the same recipe and versions, every output current")
    recipe = finished_workspace / "recipes" / "digits.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("real_weight: 4.0", "real_weight: 5.0"))
    (request,), _ = ticks.plan()
    assert request.tags[PUBLISH] == "not_hurts"
    recipe.write_text(text.replace("real_weight", "weight"))
    assert len(ticks.plan()[0]) == 1, "the run tells the mistake"
    recipe.write_text(text)
    (finished_workspace / "published" / "digits" / "manifest.json").unlink()
    assert len(ticks.plan()[0]) == 1
    recipe.write_text(text.replace('"on_new_images"', '"publish": "helps", "on_new_images"'))
    helps = Ticks(Workspace(finished_workspace), instance)
    assert helps.plan()[0] == [], "there is no evidence, so nothing is to be published"
    create_run_for_test(instance, tags={EXPANSION: "digits"}, status=dg.DagsterRunStatus.FAILURE)
    assert len(helps.plan()[0]) == 1, "what failed is tried again"


def test_a_schedule_knows_what_is_not_pushed_or_committed(finished_workspace: Path, tmp_path: Path) -> None:
    workspace = Workspace(finished_workspace)
    watched = read_watched(workspace, "digits")
    assert watched is not None and watched.measured.content is not None

    def find() -> str | None:
        recipe = workspace.load_recipe("digits")
        return find_outdated(workspace, "digits", recipe, watched.measured.content or "", "not_hurts")

    assert find() is None
    note = finished_workspace / ".growset" / "pushed" / "digits.json"
    kept = note.read_text()
    unpushed = "published_dataset is not known to be in the remote that is configured now"
    note.unlink()
    assert find() == unpushed, "it was built, and the push failed"
    note.write_text(kept.replace(read_manifest(workspace.published("digits"))["fingerprint"], "0" * 64))
    assert find() == unpushed, "an earlier one was pushed"
    note.write_text(kept)
    set_remote(finished_workspace, tmp_path / "storage")
    assert find() == unpushed, "there is a remote now"
    publish(workspace, "digits")
    assert find() is None
    recipe = finished_workspace / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("publish: {}", "publish: {commit: true}"))
    assert find() == "published_dataset is not committed to git"
    publish(workspace, "digits")
    assert find() is None
    (finished_workspace / ".git").rename(tmp_path / "git")
    assert (find() or "").startswith("it cannot be told whether all is published: ")


def test_editing_the_section_makes_nothing_stale(finished_workspace: Path) -> None:
    workspace = automate(finished_workspace)
    recipe = workspace.load_recipe("digits")
    assert recipe.automation is not None
    assert not find_pending(workspace, "digits", recipe)
    assert changed_stages(workspace.root, stage_addresses("digits")) == {}


def test_a_tick_opens_no_image(
    fresh_workspace: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a tick read a pixel")

    monkeypatch.setattr(Image, "open", refuse)
    monkeypatch.setattr(parquet, "iterate_images", refuse)
    workspace = automate(fresh_workspace)
    ticks = Ticks(workspace, instance)
    assert len(ticks.look()[0]) == len(ticks.plan()[0]) == 1


SCRIPT = """
import json, sys
from pathlib import Path
import dagster as dg
from tests.pipelines.test_automation import Ticks, Workspace
root, history = sys.argv[1:]
with dg.DagsterInstance.local_temp(history) as instance:
    ticks = Ticks(Workspace(Path(root)), instance)
    told = [ticks.look()[1], ticks.plan()[1]]
print(json.dumps([told, sorted(sys.modules)]))
"""


def test_a_tick_loads_no_heavy_library(finished_workspace: Path, tmp_path: Path) -> None:
    """It is evaluated in the code server, which lives for weeks."""
    automate(finished_workspace)
    (tmp_path / "alone").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(finished_workspace), str(tmp_path / "alone")],
        cwd=ROOT, env=user_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told, modules = json.loads(done.stdout.splitlines()[-1])
    assert told[0] == "unchanged: files were written again with the same bytes", "copied"
    assert told[1].startswith("unchanged: 360 images")
    own = {"sklearn"}  # of this file's imports
    assert not {module.partition(".")[0] for module in modules} & (HEAVY - own)


def test_the_gate_skips_the_publication_and_fails_nothing(
    finished_workspace: Path, instance: dg.DagsterInstance
) -> None:
    workspace = Workspace(finished_workspace)
    job = build_definitions(workspace, Chain(workspace), ["digits"]).resolve_job_def("expand_digits")
    for asked, why in (
        ("never", "nothing is published: automation.publish is never"),
        ("helps", "nothing is published: the verdict is no evidence, and automation.publish is helps"),
        ("not_hurts", None),
    ):
        result = job.execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["digits", PUBLISHED])], tags={PUBLISH: asked}
        )
        assert result.success
        assert bool(result.get_asset_materialization_events()) == (why is None)
        logged = [entry.user_message for entry in instance.all_logs(result.run_id)]
        assert why is None or why in logged


@pytest.mark.parametrize(
    ("text", "told"), [("{", "/verdict.json is not JSON: "), ('["x"]', "/verdict.json holds no verdict; make it again")]
)
def test_a_damaged_verdict_stops_the_publication_at_once_with_a_sentence(
    finished_workspace: Path, instance: dg.DagsterInstance, text: str, told: str
) -> None:
    workspace = Workspace(finished_workspace)
    (finished_workspace / "data" / "digits" / "verdict" / "verdict.json").write_text(text)
    place = replace(read_place(workspace, "digits"), retries=True)
    result = dg.materialize(
        [build_published_dataset(place)],
        instance=instance,
        resources={"chain": Chain(workspace)},
        tags={PUBLISH: "helps"},
        raise_on_error=False,
    )
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    (failed,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failed.user_failure_data and told in (failed.user_failure_data.description or "")


def test_a_run_that_is_executed_again_by_hand_publishes_as_ever(instance: dg.DagsterInstance) -> None:
    """Dagster's own second try after a crash keeps the gate; each is the child of the one before it."""
    gate: dict[str, str] = {PUBLISH: "helps"}
    parent, found = None, []
    for more in ({}, {RETRY_NUMBER_TAG: "1"}, {}, {RETRY_NUMBER_TAG: "3"}):
        known = {} if parent is None else {PARENT_RUN_ID_TAG: parent.run_id}
        parent = create_run_for_test(instance, job_name="expand_digits", tags={**gate, **known, **more})
        found.append(find_gate(parent, instance))
    assert found == ["helps", "helps", None, None]
    assert find_gate(create_run_for_test(instance, job_name="expand_digits"), instance) is None
