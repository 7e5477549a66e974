"""A workspace: the folder with params.yaml, recipes/, sources/, data/ and .growset/, and the paths in it.

It knows paths and params.yaml, but not what the stages compute.
"""

from __future__ import annotations

import difflib
import fcntl
import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from ops.errors import UserError
from ops.files.storage import replace_file
from ops.recipe.changes import Changes, change_recipe
from ops.recipe.loading import load_recipe
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.settings.reading import read_yaml, shorten
from ops.workspaces.names import check_name

PARAMS, PIPELINE = "params.yaml", "dvc.yaml"
ACTIVE = "expansions"  # its list of active expansions
ENVIRONMENT = "GROWSET_HOME"
STAGE = "DVC_STAGE"  # DVC sets it for the commands of its stages
KEPT_RUNS = 100  # in Dagster's history, of each expansion, if params.yaml says nothing
EXPERIMENTS = (".dvc", "tmp", "exps")  # where DVC copies a workspace to
OWNER = re.compile(r"team:.+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")  # as Dagster checks it


@dataclass(frozen=True)
class Workspace:
    """The folder `root` (absolute) and the paths in it.

    `changes` apply to every recipe that is loaded, in memory: for a look at a changed recipe, never to make outputs.
    """

    root: Path
    changes: Changes = field(default_factory=dict, hash=False)

    @property
    def area(self) -> Path:
        """The folder of outputs, unfinished work, locks and caches: the root itself."""
        return self.root

    def recipe_path(self, expansion: str) -> Path:
        return self.root / "recipes" / f"{expansion}.yaml"

    def source_path(self, source: str) -> Path:
        return self.root / "sources" / f"{source}.yaml"

    def output(self, expansion: str, stage: str) -> Path:
        """The folder of a stage's output."""
        return self.area / "data" / expansion / stage

    def published(self, expansion: str) -> Path:
        return self.root / "published" / expansion

    def pointer(self, expansion: str) -> Path:
        """DVC's pointer to the published dataset. A name may have dots, which are no suffix."""
        return self.root / "published" / f"{expansion}.dvc"

    def staging(self, fingerprint: str) -> Path:
        """Unfinished work of one fingerprint; survives a crash, ignored by git and DVC."""
        return self.area / ".growset" / "staging" / fingerprint

    def rehearsal(self, expansion: str) -> Path:
        """The workspace of the expansion's rehearsal, made anew each time; ignored by git and DVC."""
        return self.root / ".growset" / "rehearsals" / expansion

    @property
    def evaluations(self) -> Path:
        """The log of every evaluation on a test split."""
        return find_origin(self.root) / "evaluations.jsonl"

    @property
    def known_evaluations(self) -> Path:
        """A copy of that log from the last reading here, to notice a shortened log."""
        return find_origin(self.root) / ".growset" / "evaluations.jsonl"

    @property
    def trainings(self) -> Path:
        """Finished classifiers, for every expansion that asks for an equal one; a cache, ignored by git and DVC."""
        return find_origin(self.root) / ".growset" / "trainings"

    def timings(self, expansion: str) -> Path:
        """Seconds of each stage's last run here (`ops.stages.timing`)."""
        return self.area / ".growset" / "timings" / f"{expansion}.json"

    def hash_cache(self, expansion: str, stage: str) -> Path:
        """Hashes of an output's files from their last reading; see `ops.files.hash_cache`."""
        return self.area / ".growset" / "hashes" / f"{expansion}.{stage}.json"

    def source_hash_cache(self, source: str) -> Path:
        """The same for a source's files."""
        return self.root / ".growset" / "hashes" / "sources" / f"{source}.json"

    @property
    def params(self) -> dict[str, Any]:
        """The content of params.yaml, read again if the file has changed; do not modify it."""
        path = self.root / PARAMS
        try:
            facts = path.stat()
        except FileNotFoundError:
            raise UserError(f"{path} does not exist") from None
        return _read_params(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)

    @property
    def expansions(self) -> list[str]:
        """The active expansions: Dagster's groups of assets and DVC's matrix."""
        listed = self.params.get(ACTIVE) or []
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise UserError(
                f"'expansions' in {self.root / PARAMS} must be a list of recipe names; got {shorten(listed)}"
            )
        return list(listed)

    @property
    def owners(self) -> list[str]:
        """Who answers for the expansions, as Dagster shows it: e-mail addresses and `team:NAME`; none by default."""
        listed = self.params.get("owners") or []
        if not isinstance(listed, list) or not all(
            isinstance(owner, str) and OWNER.fullmatch(owner) for owner in listed
        ):
            raise UserError(
                f"'owners' in {self.root / PARAMS} must be a list of e-mail addresses and `team:NAME`; got"
                f" {shorten(listed)}"
            )
        return list(listed)

    @property
    def kept_runs(self) -> int:
        """How many runs of each expansion stay in Dagster's history: `history: {runs: N}`."""
        section = self._section("history")
        runs = section.get("runs", KEPT_RUNS)
        if type(runs) is not int or runs < 1 or set(section) - {"runs"}:
            raise UserError(
                f"'history' in {self.root / PARAMS} is {shorten(section)}; allowed: {{runs: N}} with a whole number"
                " from 1"
            )
        return runs

    def require_stages(self) -> None:
        """UserError where dvc.yaml lacks a stage of this Growset, as one has that an older Growset wrote."""
        path = self.root / PIPELINE
        content = read_yaml(path) if path.exists() else None
        if not isinstance(content, dict) or not isinstance(stages := content.get("stages"), dict):
            return
        if missing := [stage for stage in STAGES if stage not in stages]:
            raise UserError(
                f"{path} lacks the stage {missing[0]}, so an older Growset wrote it; bring the workspace up to date"
                " with: growset upgrade"
            )

    def stage_version(self, stage: str) -> int:
        versions = self._section("stage_versions")
        if stage not in versions:
            raise UserError(
                f"stage_versions.{stage} is missing in {self.root / PARAMS}, so an older Growset wrote it; bring the"
                " workspace up to date with: growset upgrade"
            )
        version = versions[stage]
        if type(version) is not int or version < 1:
            raise UserError(
                f"stage_versions.{stage} in {self.root / PARAMS} is {shorten(version)}; allowed: whole numbers from 1"
            )
        return version

    def source_version(self, expansion: str) -> str | None:
        """Content hash of the source in the expansion's last run; None before the first run."""
        return self._section("source_versions").get(expansion)

    def _section(self, key: str) -> dict[str, Any]:
        content = self.params.get(key) or {}
        if not isinstance(content, dict):
            raise UserError(f"'{key}' in {self.root / PARAMS} must hold keys and values; got {shorten(content)}")
        return content

    def load_recipe(self, expansion: str, *, active: bool = True) -> Recipe:
        """The validated recipe; UserError if no recipe has this name or, with `active`, if it is not active."""
        check_name(expansion)
        available = self.available_recipes()
        if expansion not in available:
            raise UserError(
                f"there is no recipe '{expansion}' in {self.root / 'recipes'}; {suggest(expansion, available)}"
            )
        if active and expansion not in self.expansions:
            raise UserError(f"expansion '{expansion}' is not active; run: growset activate {expansion}")
        path = self.recipe_path(expansion)
        return change_recipe(path, self.changes)[0] if self.changes else load_recipe(path)

    def available_recipes(self) -> list[str]:
        return sorted(path.stem for path in (self.root / "recipes").glob("*.yaml"))

    def edit_params(self, **changes: Any) -> None:
        """Set top-level keys of params.yaml; a mapping is merged key by key, a function makes the new value of the old
        one. Comments are kept, and so is what other processes write."""
        yaml = YAML()
        yaml.preserve_quotes = True
        path, lock = self.root / PARAMS, self.root / ".growset" / "locks" / PARAMS
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            content = yaml.load(path.read_text(encoding="utf-8"))
            for key, value in changes.items():
                if isinstance(value, dict):
                    if content.get(key) is None:
                        content[key] = {}
                    content[key].update(value)
                else:
                    new = value(list(content.get(key) or [])) if callable(value) else value
                    content[key] = like(content.get(key), new)
            with replace_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
                yaml.dump(content, file)


def like(old: Any, value: Any) -> Any:
    """`value` in the style of `old`: ruamel attaches the comment after a list to the list's last item."""
    if not isinstance(old, CommentedSeq):
        return value
    new = CommentedSeq(value)
    if old.fa.flow_style() or not value:
        new.fa.set_flow_style()
    elif old and (comment := old.ca.items.get(len(old) - 1)):
        new.ca.items[len(value) - 1] = comment
    return new


@lru_cache(maxsize=16)
def _read_params(path: Path, *version: int) -> dict[str, Any]:
    """The content of this `version` of the file, cached: a check reads it a dozen times, at ten milliseconds each."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold 'expansions:' and 'stage_versions:'")
    return content


def suggest(name: str, available: list[str]) -> str:
    """The nearest available name, or all of them."""
    near = difflib.get_close_matches(name, available, n=1)
    return f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(available) or 'none'}"


def find_origin(root: Path) -> Path:
    """The workspace to whose log the looks at test images belong: `root`, or the one that DVC copied to run an
    experiment in the copy (`dvc exp run --temp` or `--queue`). The copy is deleted, and its looks must not be."""
    parts = root.parts
    found = (i for i in range(len(parts) - 3) if parts[i : i + 3] == EXPERIMENTS)
    return next((Path(*parts[:i]) for i in found), root)


def find_workspace(start: Path, *, explicit: Path | None = None) -> Workspace:
    """`explicit`, else $GROWSET_HOME, else the nearest folder from `start` upwards with params.yaml and recipes/.

    The command of a DVC stage works where DVC started it, whatever $GROWSET_HOME says: perhaps in an experiment's copy.
    """
    home = None if os.environ.get(STAGE) else os.environ.get(ENVIRONMENT)
    named = explicit or (Path(home) if home else None)
    candidates = [named] if named else [start, *start.resolve().parents]
    for folder in candidates:
        if (folder / PARAMS).is_file() and (folder / "recipes").is_dir():
            return Workspace(folder.resolve())
    raise UserError(f"{named or start} is not a Growset workspace: it has no {PARAMS} beside a recipes/ folder")


def check_stage_name(stage: str) -> None:
    """UserError unless the stage table has it."""
    if stage not in STAGES:
        raise UserError(f"there is no stage '{stage}'; {suggest(stage, list(STAGES))}")
