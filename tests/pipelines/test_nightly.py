"""Nights with the real daemon: a source grows, stays, and is damaged; and 200 looks that find nothing new."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from ops.chain.driver import Chain
from ops.history.versions import list_versions, read_contents
from ops.workspaces.workspace import Workspace
from tests.pipelines.test_alerts import Hook
from tests.pipelines.test_automation import automate
from tests.ui import LOCATIONS, Client, serve, wait_for
from tests.versions import publish_with_commits
from tests.workspaces import NAMES, growset, make_workspace, one_core, run

pytestmark = pytest.mark.slow
START = {"train": (0, 48), "validation": (48, 80), "test": (80, 200)}  # of the zeros and ones, in their order
NIGHTS = ((200, 216), (216, 240))  # what arrives
TICKS = int(os.environ.get("GROWSET_TICKS", "200"))
GROWTH = 24e6  # bytes that a process may grow by over all ticks: Python's pools are not given back at once
SWITCH = """
mutation Switch($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
  __typename ... on PythonError { message }
} }
"""
HISTORY = """
query Ticks($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) { ... on Sensor { sensorState {
  ticks(limit: 500) { tickId status skipReason runIds error { message } }
} } } }
"""


class Sensor:
    """A sensor in the UI: its switch and its ticks, the newest first."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        (repository,) = client.ask(LOCATIONS)["repositoriesOrError"]["nodes"]
        self.selector = {
            "repositoryName": repository["name"],
            "repositoryLocationName": "growset",
            "sensorName": f"new_images_{name}",
        }

    def switch_on(self) -> None:
        answer = self.client.ask(SWITCH, selector=self.selector)["startSensor"]
        assert answer["__typename"] == "Sensor", answer

    def ticks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.ask(HISTORY, selector=self.selector)["sensorOrError"]["sensorState"][
            "ticks"
        ]
        assert not [tick for tick in found if tick["status"] == "FAILURE"], found
        return found

    def runs(self) -> list[str]:
        """The runs that it has started, the first one first."""
        return [run_id for tick in reversed(self.ticks()) for run_id in tick["runIds"]]

    def wait_for_reason(self, words: str, *, seconds: float = 300) -> None:
        """Until its newest tick gives a reason with these words."""
        wait_for(lambda: words in ((self.ticks() or [{}])[0].get("skipReason") or ""), seconds=seconds)


def write_images(root: Path, split: str, first: int, last: int) -> list[Path]:
    """Zeros and ones of scikit-learn's digits as PNG in class folders."""
    digits = load_digits()
    chosen = np.flatnonzero(digits.target < len(NAMES))[first:last]
    paths = []
    for number in chosen:
        path = root / "images" / split / NAMES[digits.target[number]] / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.kron(digits.images[number], np.ones((2, 2))) * (255 / 16)
        Image.fromarray(pixels.round().astype(np.uint8)).save(path)
        paths.append(path)
    return paths


def use_quick_ticks(root: Path) -> None:
    file = root / "workspace.yaml"
    file.write_text(file.read_text().replace("pipelines.definitions", "tests.quick_ticks"))


@pytest.fixture
def growing(tmp_path: Path) -> Path:
    """A workspace with images in folders and a remote, published once by hand, that runs by itself from now on."""
    root = make_workspace(tmp_path / "workspace")
    shutil.rmtree(root / "images")
    for split, (first, last) in START.items():
        write_images(root, split, first, last)
    (root / "sources" / "digits.yaml").write_text("kind: folder\npath: ../images\nlicence: BSD-3-Clause\n")
    recipe = root / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("data: {images_per_class: 16}", "data: {}"))
    automate(root, {"on_new_images": True, "settle_minutes": 0, "least_images": 10, "least_share": 1.0})
    use_quick_ticks(root)
    run(root, "git", "add", ".")
    publish_with_commits(root, str(tmp_path / "storage"))
    with one_core():
        result = growset(root, "run", "digits")
    assert result.exit_code == 0, result.output
    return root


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    listening = Hook()
    monkeypatch.setenv("GROWSET_WEBHOOK", listening.address)
    yield listening
    listening.close()


def test_nights_of_a_source_that_grows_twice_stays_and_is_damaged(growing: Path, hook: Hook) -> None:
    with serve(growing) as client:
        sensor = Sensor(client, "digits")
        sensor.switch_on()
        sensor.wait_for_reason("unchanged since the last run: 200 images")
        for night, (first, last) in enumerate(NIGHTS):
            write_images(growing, "train", first, last)
            wait_for(lambda night=night: len(sensor.runs()) > night, seconds=300)
            assert client.wait_for_end(sensor.runs()[night], seconds=1800) == "SUCCESS"
            sensor.wait_for_reason(f"unchanged since the last run: {last} images")
        assert len(sensor.runs()) == 2
        (damaged, *_) = write_images(growing, "train", 240, 252)
        damaged.write_bytes(damaged.read_bytes()[:80])
        wait_for(lambda: len(sensor.runs()) > 2, seconds=300)
        assert client.wait_for_end(sensor.runs()[2], seconds=900) == "FAILURE"
        sensor.wait_for_reason("did not succeed")
        wait_for(lambda: hook.told, seconds=300)
        assert len(sensor.runs()) == 3, "it is not repeated"
    (told,) = [alert for alert in hook.told if alert["event"] == "run_failed"]
    assert str(damaged) in told["text"] and told["expansion"] == "digits"
    assert told["text"] in (growing.parent / "ui.log").read_text(), "its log has the sentence too"
    check_versions(growing)


def check_versions(root: Path) -> None:
    """Both publications are there, complete, and the commands tell how the dataset grew."""
    workspace = Workspace(root)
    versions = list_versions(workspace, "digits")
    assert [version.name for version in versions] == ["digits/v3", "digits/v2", "digits/v1"]
    real = [len(read_contents(workspace, version).rows.filter(is_generated=False)) for version in versions]
    assert real == [240, 216, 200]
    listed = growset(root, "versions", "digits").output
    assert all(version.name in listed for version in versions)
    found = json.loads(growset(root, "diff", "digits/v2", "digits/v3", "--json").output)
    added = [row for row in found["classes"] if row["kind"] == "real" and row["added"]]
    assert sum(row["added"] for row in added) == 24 and {row["split"] for row in added} == {"train"}
    assert growset(root, "verify", "digits").exit_code == 0


def list_processes(client: Client) -> dict[str, psutil.Process]:
    """The daemon, and the code server that evaluates the ticks: the largest of its kind."""
    found: dict[str, list[psutil.Process]] = {"daemon": [], "code server": []}
    for process in psutil.Process(client.process).children(recursive=True):
        words = " ".join(process.cmdline())
        if "dagster._daemon" in words:
            found["daemon"].append(process)
        elif "dagster api grpc" in words or "dagster code-server" in words or " api grpc" in words:
            found["code server"].append(process)
    return {name: max(processes, key=lambda each: each.memory_info().rss) for name, processes in found.items()}


def count_ticks(sensors: list[Sensor], say: Callable[[str], None]) -> int:
    ticks = [tick for sensor in sensors for tick in sensor.ticks()]
    say(f"{len(ticks)} ticks")
    return len([tick for tick in ticks if "unchanged since the last run" in (tick["skipReason"] or "")])


def test_looks_that_find_nothing_new_take_no_memory(fresh_workspace: Path) -> None:
    names = ["digits", "second", "third", "fourth"]
    workspace = automate(fresh_workspace, {"on_new_images": True})
    use_quick_ticks(fresh_workspace)
    for name in names[1:]:
        shutil.copyfile(workspace.recipe_path("digits"), workspace.recipe_path(name))
    workspace.edit_params(expansions=names)
    chain = Chain(workspace)
    for name in names:
        chain.run(name, "real_images")
    with serve(fresh_workspace) as client:
        sensors = [Sensor(client, name) for name in names]
        for sensor in sensors:
            sensor.switch_on()
        warm = max(16, TICKS // 5)
        wait_for(lambda: count_ticks(sensors, print) >= warm, seconds=1800)
        before = {name: process.memory_info().rss for name, process in list_processes(client).items()}
        wait_for(lambda: count_ticks(sensors, print) >= warm + TICKS, seconds=3600)
        after = {name: process.memory_info().rss for name, process in list_processes(client).items()}
    for name in before:
        print(f"{name}: {before[name] / 1e6:.1f} MB before, {after[name] / 1e6:.1f} MB after {TICKS} looks")
        assert after[name] - before[name] < GROWTH
