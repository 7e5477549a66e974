"""When the UI loads its definitions anew: a recipe, the list of active expansions, an owner or a version has changed.

Dagster has a button for it and no more. What is compared is content, not times of files: a reload starts a server, and
ends the ticks that the old one is at. While params.yaml is wrong, the last good definitions stay; a recipe that is
wrong keeps its part of them until something else changes.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import click

from ops.errors import GrowsetError, clean
from ops.workspaces.workspace import PARAMS, Workspace
from pipelines.definitions import describe_definitions

LOGGER = logging.getLogger("growset.ui")
INTERVAL = 2.0  # seconds between two looks at the files
WRONG = "wrong"  # stands for the digest of a recipe that was wrong when the definitions were loaded
Digests = Mapping[str, str | None]  # by expansion; None: its recipe is wrong
Stamp = tuple[tuple[str, int, int, int], ...]


class Decision:
    """Whether to reload, from one look at the workspace after the other.

    `loaded` is what the definitions were last loaded from. A change counts when two looks in a row agree on it, for an
    editor or git may be at work, and `dvc exp run` resets recipes for a moment.
    """

    def __init__(self, loaded: Digests | None) -> None:
        self._loaded = None if loaded is None else _mark_wrong(loaded)
        self._seen: dict[str, str] | None = None

    def observe(self, found: Digests | None) -> bool:
        """Whether to reload now; `found` is None while params.yaml is wrong."""
        if found is None:
            self._seen = None
            return False
        before = self._loaded or {}
        wanted = {name: before.get(name, WRONG) if digest is None else digest for name, digest in found.items()}
        if wanted == self._loaded:
            self._seen = None
            return False
        if wanted != self._seen:
            self._seen = wanted
            return False
        self._loaded, self._seen = _mark_wrong(found), None  # a wrong recipe is now shown as wrong
        return True

    def forget(self) -> None:
        """What was decided last has failed: it counts as a change again."""
        self._loaded = None


def _mark_wrong(digests: Digests) -> dict[str, str]:
    return {name: digest or WRONG for name, digest in digests.items()}


class Reader:
    """Reads the workspace again only if one of its files has changed: recipes take tens of milliseconds each."""

    def __init__(self, workspace: Workspace, tell: Callable[[str], None]) -> None:
        self._workspace, self._tell = workspace, tell
        self._stamp: Stamp | None = None
        self._found: Digests | None = None
        self._told: set[str] = set()

    def read(self) -> Digests | None:
        """A digest for each active expansion; None while params.yaml is wrong. Mistakes are told once."""
        stamp = _stamp_files(self._workspace)
        if stamp != self._stamp:
            self._stamp, self._found = stamp, None  # also if the reading below fails
            try:
                self._found, mistakes = describe_definitions(self._workspace)
            except GrowsetError as error:
                mistakes = [str(error)]
            for mistake in mistakes:
                if mistake not in self._told:
                    self._tell(f"{mistake}; the UI takes the change over when it is right")
            self._told = set(mistakes)
        return self._found


def _stamp_files(workspace: Workspace) -> Stamp:
    """Size, time and inode of params.yaml and of every recipe."""
    found = []
    for path in (workspace.root / PARAMS, *sorted((workspace.root / "recipes").glob("*.yaml"))):
        try:
            facts = path.stat()
        except FileNotFoundError:  # removed since it was listed
            continue
        found.append((path.name, facts.st_size, facts.st_mtime_ns, facts.st_ino))
    return tuple(found)


class Reloader:
    """Notices changes of a workspace since this object was made.

    Make it before the definitions are loaded, so that no change in between is missed.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._reader = Reader(workspace, lambda sentence: click.echo(f"growset: {sentence}", err=True))
        self._decision = Decision(self._reader.read())

    @contextmanager
    def watch(self, reload: Callable[[], None]) -> Iterator[None]:
        """Call `reload` in a thread whenever the definitions have changed."""
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(reload, ended), name="reloader", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(INTERVAL)  # a reload may take longer; it ends with the process

    def _watch(self, reload: Callable[[], None], ended: threading.Event) -> None:
        while not ended.wait(INTERVAL):
            try:
                if self._decision.observe(self._reader.read()):
                    self._reload(reload)
            except Exception as error:
                LOGGER.error("the definitions could not be loaded anew", exc_info=clean(error))

    def _reload(self, reload: Callable[[], None]) -> None:
        with ExitStack() as failed:
            failed.callback(self._decision.forget)
            reload()
            failed.pop_all()
