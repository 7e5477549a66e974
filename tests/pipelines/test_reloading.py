"""When the UI loads its definitions anew: when content has changed, is right and stays; never for anything else."""

import threading
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import pipelines.reloading
from assets.place import Place
from ops.errors import UserError
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from pipelines.definitions import describe_definitions
from pipelines.reloading import Decision, Digests, Reader, Reloader
from tests.workspaces import RECIPE

A, B, NEW = {"a": "1"}, {"a": "1", "b": "1"}, {"a": "2"}
BROKEN: Digests = {"a": None}


@pytest.mark.parametrize(
    ("loaded", "looks", "reloads"),
    [
        (A, [A, A, A], []),  # nothing has changed
        (A, [B, B, B, B], [1]),  # an expansion was activated: the second look agrees with the first
        (B, [A, A, A], [1]),  # deactivated
        (A, [NEW, NEW], [1]),  # changed
        (A, [NEW, A, NEW, A], []),  # back before the next look, as git does
        (A, [NEW, B, B], [2]),  # still being edited
        (A, [NEW, NEW, A, A], [1, 3]),  # and back again
        (A, [None, None, A], []),  # params.yaml was wrong for a while
        (A, [NEW, None, NEW, NEW], [3]),
        (A, [BROKEN, BROKEN, A], []),  # a recipe was wrong for a while: the good definitions stayed
        (A, [BROKEN, NEW, NEW], [2]),  # and is right in another way
        (A, [{"a": None, "b": "1"}] * 3, [1]),  # another one is activated meanwhile, so `a` is shown as wrong
        (A, [{"a": None, "b": "1"}] * 3 + [B, B], [1, 4]),  # and is shown again as soon as it is as before
        (A, [{"a": "1", "b": None}] * 3, [1]),  # one that was never right is shown as wrong
        (A, [{}, {}], [1]),  # the last one is deactivated
        (BROKEN, [BROKEN, BROKEN, A, A], [3]),  # wrong from the beginning
        (None, [None, A, A, A], [2]),  # params.yaml was wrong when the UI started
    ],
)
def test_a_reload_follows_the_second_look_at_a_change(
    loaded: Digests | None, looks: Sequence[Digests | None], reloads: list[int]
) -> None:
    decision = Decision(loaded)
    assert [number for number, found in enumerate(looks) if decision.observe(found)] == reloads


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "recipes").mkdir()
    for name in ("digits", "second"):
        (tmp_path / "recipes" / f"{name}.yaml").write_text(RECIPE)
    versions = "".join(f"  {stage}: 1\n" for stage in STAGES)
    (tmp_path / "params.yaml").write_text(f"expansions: [digits]\nstage_versions:\n{versions}")
    return Workspace(tmp_path)


def edit(workspace: Workspace, file: str, old: str, new: str) -> None:
    text = (workspace.root / file).read_text()
    assert old in text
    (workspace.root / file).write_text(text.replace(old, new))


RECIPE_FILE, PARAMS_FILE = "recipes/digits.yaml", "params.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "changes"),
    [
        (RECIPE_FILE, "weight: 4.0", "weight: 7.0", True),
        (RECIPE_FILE, "publish: {}", "publish: {commit: true}", True),
        (RECIPE_FILE, "source: digits", "source: others", True),
        (PARAMS_FILE, "scorer: 1", "scorer: 2", True),
        (PARAMS_FILE, "expansions: [digits]", "expansions: [digits]\nowners: ['team:vision']", True),
        (PARAMS_FILE, "[digits]", "[digits, second]", True),
        (PARAMS_FILE, "[digits]", "[second]", True),
        (RECIPE_FILE, "seed: 0", "# a comment\nseed:   0", False),
        (RECIPE_FILE, "tuning: {}", "tuning: {policy: false}", False),  # the default
        (PARAMS_FILE, "expansions:", "source_versions: {digits: abc}\nexpansions:", False),  # as every run leaves it
        ("recipes/second.yaml", "seed: 0", "seed: 1", False),  # not active
    ],
)
def test_the_digest_follows_what_definitions_are_built_from(
    workspace: Workspace, file: str, old: str, new: str, changes: bool
) -> None:
    before, _ = describe_definitions(workspace)
    edit(workspace, file, old, new)
    after, mistakes = describe_definitions(workspace)
    assert mistakes == [] and (after != before) is changes


def test_a_wrong_recipe_has_no_digest_and_leaves_the_others_theirs(workspace: Workspace) -> None:
    edit(workspace, PARAMS_FILE, "[digits]", "[digits, second, gone]")
    before, (missing,) = describe_definitions(workspace)
    edit(workspace, "recipes/second.yaml", "real_weight", "weight")
    after, mistakes = describe_definitions(workspace)
    assert after == {"digits": before["digits"], "second": None, "gone": None} and before["second"]
    assert "unknown key 'mix.weight'" in mistakes[0] and mistakes[1] == missing
    assert "there is no recipe 'gone'" in missing


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[digits]", "[a-b, a_b]"),
        ("[digits]", "{digits: 1}"),
        ("[digits]", "['../digits']"),
        ("scorer: 1", "scorer: none"),
        ("[digits]", "[digits]\nowners: [nobody]"),
        ("[digits]", "[digits"),
    ],
)
def test_params_with_which_nothing_would_load_are_refused(workspace: Workspace, old: str, new: str) -> None:
    edit(workspace, PARAMS_FILE, old, new)
    with pytest.raises(UserError):
        describe_definitions(workspace)


def test_files_are_read_when_they_have_changed_and_a_mistake_is_told_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings, told = [], []

    def count(*arguments: Any) -> Any:
        readings.append(arguments)
        return describe_definitions(*arguments)

    monkeypatch.setattr(pipelines.reloading, "describe_definitions", count)
    reader = Reader(workspace, told.append)
    first = reader.read()
    assert first and reader.read() == first and len(readings) == 1 and not told
    edit(workspace, RECIPE_FILE, "real_weight", "weight")
    assert reader.read() == {"digits": None} == reader.read()
    edit(workspace, PARAMS_FILE, "[digits]", "[digits, second]")
    assert (reader.read() or {}).keys() == {"digits", "second"}
    assert len(told) == 1 and "did you mean 'mix.real_weight'" not in told[0] and "unknown key 'mix.weight'" in told[0]
    edit(workspace, PARAMS_FILE, "[digits, second]", "[digits")
    assert reader.read() is None and len(told) == 2
    (workspace.root / PARAMS_FILE).unlink()
    assert reader.read() is None and "does not exist" in told[2]


def test_the_thread_reloads_until_it_is_stopped(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines.reloading, "INTERVAL", 0.005)
    reloaded: list[str] = []
    done = threading.Event()

    def reload() -> None:
        reloaded.append(threading.current_thread().name)
        if len(reloaded) == 1:
            raise RuntimeError("planted: it is tried again without another change")
        done.set()

    def change(old: str, new: str) -> None:
        done.clear()
        edit(workspace, PARAMS_FILE, old, new)
        assert done.wait(20)

    reloader = Reloader(workspace)
    with reloader.watch(reload):
        change("[digits]", "[digits, second]")
        change("[digits, second]", "[second]")
    assert reloaded == ["reloader"] * 3
    assert not [thread for thread in threading.enumerate() if thread.name == "reloader"]


def test_nothing_that_definitions_are_built_from_is_missing_in_the_digest() -> None:
    """What is added to a Place must be added to the digest, or the UI would not follow its changes."""
    described = {"expansion", "versions", "recipe", "fault", "owners"}
    fixed = {"references", "retries", "device", "pooled"}  # of the code and the door, which change with a restart alone
    assert {field.name for field in fields(Place)} == described | fixed
