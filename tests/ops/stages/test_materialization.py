"""One stage exactly once: what `materialize` computes, keeps, copies, resumes and refuses.

Real stage names with fake builders. The tests compare the files on disk and the number of builds with those expected
from the settings, versions, inputs and earlier interruptions.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

import ops.files.storage
import ops.stages.materialization
from ops.errors import DamagedData, EnvironmentFault, UserError
from ops.files.hashing import hash_json
from ops.files.manifests import read_manifest
from ops.files.storage import replace_file
from ops.machine.waiting import Waiting
from ops.recipe.stages import STAGES
from ops.stages.integrity import is_intact
from ops.stages.materialization import Outcome, Runtime, StageRun, find_staleness, identify, materialize
from ops.workspaces.workspace import Workspace

ROOT = Path(__file__).parents[3]
RUNTIME = Runtime(workers=1)
FIRST = "real_images"


class Builder:
    """Writes two files that contain the seed, and counts its calls."""

    def __init__(self, text: str = "pixels") -> None:
        self.text, self.runs = text, list[StageRun]()

    def __call__(self, run: StageRun) -> dict[str, Any]:
        self.runs.append(run)
        (run.out / "shards").mkdir(exist_ok=True)
        (run.out / "shards" / "a.bin").write_text(self.text)
        (run.out / "b.json").write_text("{}")
        if run.stage == "training_policy":  # read before the builders of the stages that train
            (run.out / "policy.json").write_text("{}")
        return {"images": 3}


def build_first(
    workspace: Workspace, builder: Callable[[StageRun], dict[str, Any]], expansion: str = "base", source: str = "abc"
) -> Outcome:
    return materialize(workspace, expansion, FIRST, builder, RUNTIME, source=source)


def build_plan(workspace: Workspace, builder: Callable[[StageRun], dict[str, Any]], expansion: str = "base") -> Outcome:
    return materialize(workspace, expansion, "expansion_plan", builder, RUNTIME)


def edit(workspace: Workspace, old: str, new: str, expansion: str = "base") -> None:
    path = workspace.recipe_path(expansion)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def staged(workspace: Workspace) -> list[Path]:
    """Staging folders, empty ones included."""
    return list((workspace.root / ".growset" / "staging").glob("*"))


def test_stage_is_built_once_and_then_reused(workspace: Workspace) -> None:
    builder = Builder()
    first, second = build_first(workspace, builder), build_first(workspace, builder)
    assert len(builder.runs) == 1
    assert (first.reused, second.reused) == (False, True)
    assert first.manifest == second.manifest
    assert second.seconds == 0.0
    assert files(first.folder) == {"manifest.json", "b.json", "shards/a.bin"}


def test_changed_setting_rebuilds_the_stage_that_reads_it_alone(workspace: Workspace) -> None:
    first, plan = Builder(), Builder()
    build_first(workspace, first), build_plan(workspace, plan)
    edit(workspace, "ratio: 2.0", "ratio: 3.0")
    assert build_first(workspace, first).reused
    outcome = build_plan(workspace, plan)
    assert not outcome.reused
    assert outcome.manifest["settings"]["plan"]["ratio"] == 3.0
    assert len(plan.runs) == 2


def test_setting_put_back_is_built_again_because_one_output_is_kept(workspace: Workspace) -> None:
    build_first(workspace, Builder())
    builder = Builder()
    before = build_plan(workspace, builder)
    edit(workspace, "ratio: 2.0", "ratio: 3.0")
    build_plan(workspace, builder)
    edit(workspace, "ratio: 3.0", "ratio: 2.0")
    assert build_plan(workspace, builder).manifest == before.manifest
    assert len(builder.runs) == 3


def test_raised_version_rebuilds(workspace: Workspace) -> None:
    builder = Builder()
    build_first(workspace, builder)
    workspace.edit_params(stage_versions={FIRST: 2})
    assert build_first(workspace, builder).manifest["version"] == 2
    assert len(builder.runs) == 2


def test_changed_source_rebuilds(workspace: Workspace) -> None:
    builder = Builder()
    build_first(workspace, builder, source="abc")
    assert not build_first(workspace, builder, source="abd").reused
    assert len(builder.runs) == 2


def test_changed_content_of_an_input_rebuilds_and_equal_content_does_not(workspace: Workspace) -> None:
    plan = Builder()
    build_first(workspace, Builder("one"))
    build_plan(workspace, plan)
    build_first(workspace, Builder("one"), source="other files, same images")
    assert build_plan(workspace, plan).reused
    build_first(workspace, Builder("two"), source="other images")
    assert not build_plan(workspace, plan).reused


@pytest.mark.parametrize("name", ["b.json", "shards/a.bin", "manifest.json"])
def test_deleted_output_file_rebuilds(workspace: Workspace, name: str) -> None:
    builder = Builder()
    outcome = build_first(workspace, builder)
    (outcome.folder / name).unlink()
    assert not build_first(workspace, builder).reused
    assert files(outcome.folder) == {"manifest.json", "b.json", "shards/a.bin"}


def test_truncated_output_file_rebuilds(workspace: Workspace) -> None:
    builder = Builder()
    outcome = build_first(workspace, builder)
    (outcome.folder / "shards" / "a.bin").write_text("pix")
    assert not build_first(workspace, builder).reused
    assert (outcome.folder / "shards" / "a.bin").read_text() == "pixels"


def test_output_with_other_bytes_of_the_same_size_is_not_shared_and_is_rebuilt(workspace: Workspace) -> None:
    builder = Builder()
    file = build_first(workspace, builder).folder / "shards" / "a.bin"
    file.write_text("pixelz")
    assert not build_first(workspace, builder, "twin").reused
    assert build_first(workspace, builder).reused_from == "twin"
    assert file.read_text() == "pixels"


def test_rebuilt_output_holds_no_file_of_the_former(workspace: Workspace) -> None:
    outcome = build_first(workspace, Builder())
    (outcome.folder / "stranger.txt").write_text("x")

    def build(run: StageRun) -> dict[str, Any]:
        (run.out / "c.txt").write_text("c")
        return {}

    build_first(workspace, build, source="abd")
    assert files(outcome.folder) == {"manifest.json", "c.txt"}


def test_equal_fingerprint_of_another_expansion_is_copied(workspace: Workspace) -> None:
    first, second = Builder(), Builder()
    origin = build_first(workspace, first)
    copy = build_first(workspace, second, "twin")
    assert second.runs == []
    assert (copy.reused, copy.reused_from) == (True, "base")
    assert copy.folder == workspace.output("twin", FIRST)
    assert copy.manifest == origin.manifest
    assert staged(workspace) == []
    (copy.folder / "b.json").write_text("changed")
    assert (origin.folder / "b.json").read_text() == "{}"


def test_copied_output_is_simply_current_afterwards(workspace: Workspace) -> None:
    build_first(workspace, Builder())
    build_first(workspace, Builder(), "twin")
    again = build_first(workspace, Builder(), "twin")
    assert (again.reused, again.reused_from) == (True, None)


def test_damaged_output_of_another_expansion_is_not_copied(workspace: Workspace) -> None:
    origin, builder = build_first(workspace, Builder()), Builder()
    (origin.folder / "b.json").unlink()
    assert not build_first(workspace, builder, "twin").reused
    assert len(builder.runs) == 1


def test_other_settings_of_another_expansion_are_not_copied(workspace: Workspace) -> None:
    build_first(workspace, Builder())
    edit(workspace, "seed: 0", "seed: 1", "twin")
    builder = Builder()
    assert not build_first(workspace, builder, "twin").reused
    assert builder.runs[0].recipe.seed == 1


def test_output_that_names_its_expansion_is_not_shared(workspace: Workspace) -> None:
    recipe = workspace.load_recipe("base")
    for expansion in ("base", "twin"):
        build_first(workspace, Builder(), expansion)
        build_plan(workspace, Builder(), expansion)
        for stage in [each for each in STAGES if each not in (FIRST, "expansion_plan", "report")]:
            materialize(workspace, expansion, stage, Builder(), RUNTIME)
    equal = [identify(workspace, recipe, name, "verdict")["fingerprint"] for name in ("base", "twin")]
    assert equal[0] == equal[1]
    outcomes = [materialize(workspace, name, "report", Builder(), RUNTIME) for name in ("base", "twin")]
    assert [outcome.reused for outcome in outcomes] == [False, False]


def test_manifest_is_independent_of_the_expansions_name(workspace: Workspace) -> None:
    origin = build_first(workspace, Builder())
    shutil.rmtree(origin.folder)
    assert build_first(workspace, Builder(), "twin").manifest == origin.manifest
    assert "base" not in str(origin.manifest) and str(workspace.root) not in str(origin.manifest)


def test_manifest_lists_every_file_with_its_size_and_sha256(workspace: Workspace) -> None:
    outcome = build_first(workspace, Builder())
    described = outcome.manifest["files"]
    assert set(described) == files(outcome.folder) - {"manifest.json"}
    for name, entry in described.items():
        raw = (outcome.folder / name).read_bytes()
        assert entry == {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    assert outcome.manifest["content"] == hash_json({name: entry["sha256"] for name, entry in described.items()})
    assert outcome.manifest["metrics"] == {"images": 3}
    assert read_manifest(outcome.folder) == outcome.manifest


def test_content_hash_depends_on_bytes_and_names_alone(workspace: Workspace) -> None:
    contents = [
        build_first(workspace, Builder(text), source=source).manifest["content"]
        for text, source in (("one", "a"), ("two", "b"), ("one", "c"))
    ]
    assert contents[0] == contents[2] != contents[1]


def test_manifest_lists_everything_that_determines_the_fingerprint(workspace: Workspace) -> None:
    first = build_first(workspace, Builder()).manifest
    plan = build_plan(workspace, Builder()).manifest
    assert first["inputs"] == {"source": "abc"}
    assert plan["inputs"] == {FIRST: first["content"]}
    assert list(plan["settings"]) == ["plan"]
    assert plan["settings"]["plan"] == {
        "ratio": 2.0,
        "overdraw": 1.3,
        "rounds": 5,
        "budget": 4.0,
        "balance": "keep",
    }
    identity = identify(workspace, workspace.load_recipe("base"), "base", "expansion_plan")
    assert {key: plan[key] for key in identity} == identity


def test_builder_gets_its_inputs_and_only_its_keys(workspace: Workspace) -> None:
    build_first(workspace, Builder())
    builder = Builder()
    build_plan(workspace, builder)
    (run,) = builder.runs
    assert run.inputs == {FIRST: workspace.output("base", FIRST)}
    assert run.recipe.plan.ratio == 2.0
    with pytest.raises(AttributeError):
        _ = run.recipe.seed


def test_missing_input_is_an_error_that_names_the_remedy(workspace: Workspace) -> None:
    builder = Builder()
    with pytest.raises(UserError, match=r"real_images has no manifest\.json: run the stage that makes it"):
        build_plan(workspace, builder)
    assert builder.runs == []


def test_scratch_survives_a_builder_that_raises_and_is_gone_after_success(workspace: Workspace) -> None:
    found: list[set[str]] = []

    def build(run: StageRun) -> dict[str, Any]:
        found.append(files(run.scratch))
        (run.scratch / "piece.bin").write_text("done")
        if len(found) == 1:
            raise RuntimeError("out of luck")
        return {}

    with pytest.raises(RuntimeError, match="out of luck"):
        build_first(workspace, build)
    assert len(staged(workspace)) == 1
    outcome = build_first(workspace, build)
    assert found == [set(), {"piece.bin", "seconds.json"}]
    assert staged(workspace) == []
    assert files(outcome.folder) == {"manifest.json"}


def test_scratch_belongs_to_one_fingerprint(workspace: Workspace) -> None:
    def fail(run: StageRun) -> dict[str, Any]:
        (run.scratch / "piece.bin").write_text("of another source")
        raise RuntimeError

    def build(run: StageRun) -> dict[str, Any]:
        assert files(run.scratch) == set()
        return {}

    with pytest.raises(RuntimeError):
        build_first(workspace, fail, source="one")
    build_first(workspace, build, source="two")
    assert len(staged(workspace)) == 1


def test_operating_system_error_is_an_environment_fault_that_can_be_resumed(workspace: Workspace) -> None:
    def fail(run: StageRun) -> dict[str, Any]:
        (run.scratch / "piece.bin").write_text("done")
        raise OSError(28, "No space left on device")

    with pytest.raises(EnvironmentFault) as caught:
        build_first(workspace, fail)
    assert caught.value.exit_code == 3
    assert str(caught.value) == (
        "stage real_images of 'base' stopped: [Errno 28] No space left on device;"
        " fix this and run it again; finished work is kept"
    )
    builder = Builder()
    assert not build_first(workspace, builder).reused
    assert staged(workspace) == []


@pytest.mark.parametrize("error", [UserError("a"), DamagedData("b"), ValueError("c")])
def test_other_errors_of_a_builder_are_passed_on(workspace: Workspace, error: Exception) -> None:
    def fail(run: StageRun) -> dict[str, Any]:
        raise error

    with pytest.raises(type(error)) as caught:
        build_first(workspace, fail)
    assert caught.value is error


def test_no_half_output_is_visible_when_a_builder_raises(workspace: Workspace) -> None:
    def fail(run: StageRun) -> dict[str, Any]:
        (run.out / "half.bin").write_text("half")
        assert not run.out.is_relative_to(workspace.root / "data")
        raise RuntimeError

    target = workspace.output("base", FIRST)
    with pytest.raises(RuntimeError):
        build_first(workspace, fail)
    assert not target.exists()
    kept = build_first(workspace, Builder())
    with pytest.raises(RuntimeError):
        build_first(workspace, fail, source="abd")
    assert read_manifest(target) == kept.manifest
    assert is_intact(target, kept.manifest["fingerprint"])


def test_file_that_a_killed_process_was_writing_does_not_get_into_the_output(workspace: Workspace) -> None:
    def die(run: StageRun) -> dict[str, Any]:
        with replace_file(run.out / "b.json") as temporary:
            shutil.copyfile(__file__, run.out / f"{temporary.name.replace(str(os.getpid()), '1')}")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        build_first(workspace, die)
    assert files(build_first(workspace, Builder()).folder) == {"manifest.json", "b.json", "shards/a.bin"}


def test_interruption_while_the_output_was_replaced_is_repaired(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename, calls = build_first(workspace, Builder("one")), os.rename, list[Any]()

    def stop_second(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ops.files.storage.os, "rename", stop_second)
        build_first(workspace, Builder("two"), source="abd")
    assert not before.folder.exists()
    again = build_first(workspace, Builder("one"))
    assert again.reused
    assert again.manifest == before.manifest
    assert [path.name for path in before.folder.parent.iterdir()] == [FIRST]


def test_a_second_run_of_the_same_stage_waits_and_others_do_not(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_first(workspace, Builder())
    builder = Builder()
    (lock,) = (workspace.root / ".growset" / "locks").glob(f"*{FIRST}*")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        said: list[str] = []

        def let_go(waiting: Waiting, what: str) -> None:
            said.append(what)
            assert builder.runs == []
            fcntl.flock(file, fcntl.LOCK_UN)

        monkeypatch.setattr(Waiting, "say", let_go)
        build_plan(workspace, Builder())
        assert said == []
        assert not build_first(workspace, builder, source="abd").reused
    assert said == ["stage real_images of 'base': another process is at it"]
    assert len(builder.runs) == 1


def test_process_killed_in_its_builder_leaves_a_state_that_completes(workspace: Workspace) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from ops.stages.materialization import Runtime, materialize
from ops.workspaces.workspace import Workspace

def build(run):
    (run.scratch / "piece.bin").write_text("done")
    (run.out / "b.json").write_text("ha")
    os.kill(os.getpid(), signal.SIGKILL)

materialize(Workspace(Path(sys.argv[1])), "base", "real_images", build, Runtime(workers=1), source="abc")
"""
    command = [sys.executable, "-c", script, str(workspace.root)]
    done = subprocess.run(command, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not workspace.output("base", FIRST).exists()
    builder = Builder()
    outcome = build_first(workspace, builder)
    assert outcome.manifest["files"]["b.json"]["bytes"] == 2
    assert (outcome.folder / "b.json").read_text() == "{}"
    assert files(outcome.folder) == {"manifest.json", "b.json", "shards/a.bin"}
    assert staged(workspace) == []


@pytest.mark.parametrize("expansion", ["base", "twin"])
def test_staging_that_a_kill_left_beside_a_finished_output_is_cleared(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, expansion: str
) -> None:
    build_first(workspace, Builder())
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ops.stages.materialization.shutil, "rmtree", interrupt)
        build_first(workspace, Builder(), expansion, source="abc" if expansion == "twin" else "abd")
    assert len(staged(workspace)) == 1
    again = build_first(workspace, Builder(), expansion, source="abc" if expansion == "twin" else "abd")
    assert again.reused
    assert staged(workspace) == []


def interrupt(*arguments: Any) -> None:
    raise KeyboardInterrupt


def test_time_taken_is_stored_outside_of_the_output(workspace: Workspace) -> None:
    outcome = build_first(workspace, Builder())
    build_plan(workspace, Builder())
    timings = ops.files.storage.read_json(workspace.timings("base"))
    assert list(timings) == [FIRST, "expansion_plan"]
    assert "seconds" not in outcome.manifest


def test_manifest_that_is_not_json_is_damaged_data(workspace: Workspace) -> None:
    outcome = build_first(workspace, Builder())
    (outcome.folder / "manifest.json").write_text('{"stage": ')
    with pytest.raises(DamagedData, match=r"manifest\.json is not JSON") as caught:
        build_plan(workspace, Builder())
    assert caught.value.exit_code == 4
    assert not build_first(workspace, Builder()).reused  # the stage itself makes it again
    assert not build_plan(workspace, Builder()).reused


def test_expansion_that_is_not_active_is_not_built(workspace: Workspace) -> None:
    builder = Builder()
    with pytest.raises(UserError, match="run: growset activate idle"):
        build_first(workspace, builder, "idle")
    assert builder.runs == []
    assert not (workspace.root / "data").exists()


def test_nothing_is_recorded_if_the_recipe_is_edited_while_its_stage_runs(workspace: Workspace) -> None:
    build_first(workspace, Builder())
    before = build_plan(workspace, Builder())

    def build(run: StageRun) -> dict[str, Any]:
        (run.out / "plan.json").write_text("{}")
        edit(workspace, "ratio: 3.0", "ratio: 4.0")
        return {}

    edit(workspace, "ratio: 2.0", "ratio: 3.0")
    with pytest.raises(EnvironmentFault) as caught:
        build_plan(workspace, build)
    assert str(caught.value) == (
        "the settings of stage expansion_plan of 'base' changed while it ran; nothing was recorded, run it again:"
        " growset run base"
    )
    assert read_manifest(before.folder) == before.manifest
    assert build_plan(workspace, Builder()).manifest["settings"]["plan"]["ratio"] == 4.0


def test_key_that_the_stage_does_not_read_may_change_while_it_runs(workspace: Workspace) -> None:
    build_first(workspace, Builder())

    def build(run: StageRun) -> dict[str, Any]:
        edit(workspace, "mix: {}", "mix: {real_weight: 9.0}")
        return {}

    assert not build_plan(workspace, build).reused


def test_nothing_is_recorded_if_an_input_is_replaced_while_its_stage_runs(workspace: Workspace) -> None:
    build_first(workspace, Builder("one"))

    def build(run: StageRun) -> dict[str, Any]:
        build_first(workspace, Builder("two"), source="other images")
        return {}

    with pytest.raises(EnvironmentFault, match="the inputs of stage expansion_plan of 'base' changed while it ran"):
        build_plan(workspace, build)
    assert not workspace.output("base", "expansion_plan").exists()
    assert staged(workspace) == []  # work on the former images must not be resumed with the new ones


def test_work_of_a_killed_stage_is_not_resumed_if_an_input_was_written_meanwhile(workspace: Workspace) -> None:
    """The input is damaged and repaired: its bytes are right before and after, but work done in between is not."""
    file = build_first(workspace, Builder()).folder / "shards" / "a.bin"
    found: list[set[str]] = []

    def build(run: StageRun) -> dict[str, Any]:
        found.append(files(run.scratch) - {"inputs.json"})
        (run.scratch / "piece.bin").write_text("half")
        if len(found) < 3:
            raise KeyboardInterrupt
        return {}

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            build_plan(workspace, build)
    file.write_text("pixelz")
    file.write_text("pixels")
    build_plan(workspace, build)
    assert found == [set(), {"piece.bin", "seconds.json"}, set()]


def test_a_stage_that_waited_for_its_lock_uses_the_inputs_that_exist_afterwards(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_first(workspace, Builder("one"))

    @contextmanager
    def wait(*arguments: Any) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(ops.stages.materialization, "exclusive", lambda *_: nullcontext())
            build_first(workspace, Builder("two"), source="other images")
        yield

    monkeypatch.setattr(ops.stages.materialization, "exclusive", wait)
    outcome = build_plan(workspace, Builder())
    assert outcome.manifest["inputs"] == {FIRST: read_manifest(workspace.output("base", FIRST))["content"]}


def test_nothing_is_recorded_if_the_source_changes_while_it_is_read(workspace: Workspace) -> None:
    with pytest.raises(EnvironmentFault, match="the inputs of stage real_images of 'base' changed while it ran"):
        materialize(workspace, "base", FIRST, Builder(), RUNTIME, source="abc", read_source=lambda: "abd")
    assert not workspace.output("base", FIRST).exists()


def test_work_on_an_input_that_was_damaged_meanwhile_is_deleted(workspace: Workspace) -> None:
    file = build_first(workspace, Builder()).folder / "shards" / "a.bin"

    def build(run: StageRun) -> dict[str, Any]:
        (run.scratch / "piece.bin").write_text("of damaged pixels")
        file.write_text("pixelz")
        return {}

    with pytest.raises(DamagedData, match=r"a\.bin does not hold the bytes that were written"):
        build_plan(workspace, build)
    assert staged(workspace) == []
    assert not workspace.output("base", "expansion_plan").exists()


def test_staleness_names_the_difference_in_origin(workspace: Workspace) -> None:
    recipe = workspace.load_recipe("base")

    def why(stage: str, source: str | None = None) -> str | None:
        found = find_staleness(workspace, "base", stage, workspace.load_recipe("base"), source)
        return found.why if found else None

    assert why("expansion_plan") == "is missing"
    build_first(workspace, Builder("one")), build_plan(workspace, Builder())
    assert why(FIRST, "abc") is None and why("expansion_plan") is None
    assert why(FIRST, "abd") == "was made from other inputs"
    edit(workspace, "ratio: 2.0", "ratio: 3.0")
    assert why("expansion_plan") == "was made from other settings"
    edit(workspace, "ratio: 3.0", "ratio: 2.0")
    workspace.edit_params(stage_versions={"expansion_plan": 2})
    assert why("expansion_plan") == "was made from another version of the stage"
    workspace.edit_params(stage_versions={"expansion_plan": 1})
    build_first(workspace, Builder("two"), source="abd")
    assert why("expansion_plan") == "was made from other inputs"
    (workspace.output("base", FIRST) / "b.json").write_text("[]")
    assert "b.json does not hold the bytes" in str(why(FIRST, "abd"))
    assert recipe == workspace.load_recipe("base")
