"""Real runs that are killed or stopped: prepared workspaces, the doors' commands, the signal, and the re-run.

When a process dies is drawn by the tests; what must be equal afterwards is `tests.equality`'s business.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil

from ops.chain.real_images import source_content
from ops.files.manifests import PUBLISHED
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from tests.workspaces import make_workspace, on_all_cores, run, user_environment

EXPANSION = "digits"
RUN = ("growset", "run", EXPANSION, "--workers", "2")
REPRO = ("dvc", "repro")
PATIENCE = 240  # seconds for one run to end by itself on a busy machine
PAUSE = 0.01  # seconds between two looks at a run
LIMIT = 10.0  # seconds from a signal that can be heard to the end
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
TOTAL, BETWEEN = "the whole run", "between stages"


def seeded(default: int) -> tuple[random.Random, int]:
    """The source of all random choices, and the seed to print: $GROWSET_KILL_SEED, or `default`."""
    seed = int(os.environ.get("GROWSET_KILL_SEED", default))
    return random.Random(seed), seed


def draw_lives(draw: random.Random, seconds: float, kills: int) -> list[float]:
    """Kill times drawn uniformly over a run's seconds, as the lives of successive processes: each goes on where the
    one before it was killed."""
    moments = sorted(draw.uniform(0, seconds) for _ in range(kills))
    return [end - begin for begin, end in pairwise([0.0, *moments])]


def make_template(root: Path, *edits: tuple[str, str]) -> Path:
    """A workspace that has not run, with a remote beside it, that commits what it publishes.

    Copies keep the remote's relative path, so that each has one of its own.
    """
    make_workspace(root)
    recipe = root / "recipes" / f"{EXPANSION}.yaml"
    text = recipe.read_text()
    for old, new in (("publish: {}", "publish: {commit: true}"), *edits):
        assert old in text
        text = text.replace(old, new)
    recipe.write_text(text)
    workspace = Workspace(root)
    content = source_content(workspace, workspace.load_recipe(EXPANSION))
    workspace.edit_params(source_versions={EXPANSION: content})  # `dvc repro` accepts no images by itself
    run(root, "dvc", "remote", "add", "--default", "storage", "../remote")
    run(root, "git", "commit", "--quiet", "--all", "--message", "Before the first run")
    return root


def copy_workspace(template: Path, folder: Path) -> Path:
    """A copy in a folder of its own, with the template's remote."""
    root = shutil.copytree(template, folder / "workspace", symlinks=True)
    if (template.parent / "remote").exists():
        shutil.copytree(template.parent / "remote", folder / "remote")
    return root


def is_torn(root: Path) -> bool:
    """Whether DVC was killed while it wrote one of its own files; it then refuses to start until that is mended."""
    lock, rwlock = root / "dvc.lock", root / ".dvc" / "tmp" / "rwlock"
    ends = [(lock, b"\n"), (rwlock, b"}")]
    return any(path.exists() and not path.read_bytes().endswith(end) for path, end in ends)


def start(root: Path, command: Iterable[str]) -> subprocess.Popen[bytes]:
    """The command in a session of its own; what it prints goes to a file beside the workspace."""
    if is_torn(root):
        print(f"  {root.parent.name}: DVC's own file is torn; `growset status` mends it")
        run(root, "growset", "status")
    with (root.parent / "output.txt").open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        return subprocess.Popen(
            list(command),
            cwd=root,
            env={**user_environment(), "OMP_NUM_THREADS": "2"},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=on_all_cores,
        )


def find_phase(root: Path) -> str:
    """What is being computed now: the stage whose lock is held. Slices draw outside of it, into `pieces`."""
    locks = Path("/proc/locks").read_text().splitlines()
    held = {int(line.split()[5].rsplit(":", 1)[1]) for line in locks if "FLOCK" in line and "->" not in line}
    for stage in (*STAGES, PUBLISHED):
        path = root / ".growset" / "locks" / f"{EXPANSION}.{stage}"
        if path.exists() and path.stat().st_ino in held:
            return stage
    drawing = any((root / ".growset" / "staging").glob("*/pieces"))
    return "generated_images" if drawing else BETWEEN


def measure_phases(root: Path, command: Iterable[str]) -> dict[str, float]:
    """Run the command to its end; the seconds of each phase, and of the whole under the name TOTAL."""
    seconds: dict[str, float] = defaultdict(float)
    started = last = time.monotonic()
    process = start(root, command)
    while process.poll() is None:
        assert last - started < PATIENCE, read_output(root)
        phase = find_phase(root)
        time.sleep(PAUSE)
        last, before = time.monotonic(), last
        seconds[phase] += last - before
    assert process.returncode == 0, read_output(root)
    return {**seconds, TOTAL: last - started}


def kill(process: psutil.Process, *, alone: bool) -> None:
    """SIGKILL to a process, and to all its descendants unless `alone`. Returns when none of them is left.

    A process whose parent was killed may finish what it does (a stage that `dvc repro` started) or end at once.
    """
    family = process.children(recursive=True)
    for victim in [process] if alone else [process, *family]:
        if victim.is_running():
            victim.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(map(lives, [process, *family])), seconds=PATIENCE)


def stop(process: subprocess.Popen[bytes], number: int, *, alone: bool) -> None:
    """A signal that can be heard, as a terminal sends it (to the process group) or a supervisor (to the process alone).

    AssertionError unless the process and all that it has started are gone within LIMIT seconds.
    """
    family = [each for each in (psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True))]
    process.send_signal(number) if alone else os.killpg(process.pid, number)
    process.wait(PATIENCE)
    wait_for(lambda: not any(map(lives, family)), seconds=LIMIT)


def check_sentence(told: str, code: int, number: int, command: tuple[str, ...]) -> None:
    """AssertionError unless a stopped command printed one sentence of Growset's, and no traceback of anybody."""
    stopped = [line for line in told.splitlines() if line.startswith("growset: stopped ")]
    assert "Traceback" not in told, told
    if command[0] == "growset":
        assert (code, len(stopped)) == (128 + number, 1), told
        assert stopped[0].endswith(f"; go on with: {' '.join(command)}"), told
    else:
        assert code != 0 and len(stopped) <= 1, told


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], object], *, seconds: float, pause: float = PAUSE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"nothing within {seconds} s"
        time.sleep(pause)


@dataclass
class Record:
    """The kills so far, one sentence each."""

    kills: list[str] = field(default_factory=list)

    def attempt(
        self,
        root: Path,
        command: tuple[str, ...],
        delay: float,
        *,
        number: int = signal.SIGKILL,
        alone: bool = False,
        after: str | None = None,
    ) -> bool:
        """Run the command, send it the signal after `delay` seconds, counted from the phase `after`, and see that it
        ends as it should; False if it ended before."""
        process = start(root, command)
        before = len(read_all(root))
        if after is not None:
            wait_for(lambda: find_phase(root) == after or process.poll() is not None, seconds=PATIENCE)
        try:
            code = process.wait(delay)
        except subprocess.TimeoutExpired:
            phase, whom = find_phase(root), "alone" if alone else "with its children"
            moment = f"{delay:.2f} s into {after or 'the run'}: {phase}"
            self.kills.append(f"{signal.Signals(number).name} to {' '.join(command[:2])} {whom}, {moment}")
            if number == signal.SIGKILL:
                kill(psutil.Process(process.pid), alone=alone)
                process.wait()
            else:
                stop(process, number, alone=alone)
                if process.returncode == 0 and not read_all(root)[before:].count("growset: stopped "):
                    self.kills.pop()  # it had just ended
                    return False
                check_sentence(read_all(root)[before:], process.returncode, number, command)
            return True
        assert code == 0, read_output(root)
        return False


def finish(root: Path, command: tuple[str, ...]) -> float:
    """Run the command to its end; returns the seconds. AssertionError with what it printed if it fails."""
    started = time.monotonic()
    process = start(root, command)
    try:
        code = process.wait(PATIENCE)
    finally:
        if process.poll() is None:
            kill(psutil.Process(process.pid), alone=False)
    assert code == 0, read_output(root)
    return time.monotonic() - started


def read_all(root: Path) -> str:
    """What all commands have printed so far."""
    return (root.parent / "output.txt").read_text(errors="replace")


def read_output(root: Path) -> str:
    return read_all(root)[-6000:]
