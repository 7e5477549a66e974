"""A workspace: the folder with params.yaml, recipes/, sources/, data/ and .growset/, and where things are in it.

It knows paths and params.yaml, and nothing of what the stages compute.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from ops.errors import UserError
from ops.recipe.loading import load_recipe, read_yaml, shorten
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.storage import replace_file

PARAMS = "params.yaml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
ENVIRONMENT = "GROWSET_HOME"


@dataclass(frozen=True)
class Workspace:
    """The folder `root` (absolute) and the places in it."""

    root: Path

    def recipe_path(self, expansion: str) -> Path:
        return self.root / "recipes" / f"{expansion}.yaml"

    def source_path(self, source: str) -> Path:
        return self.root / "sources" / f"{source}.yaml"

    def output(self, expansion: str, stage: str) -> Path:
        """The folder that a stage's output appears in."""
        return self.root / "data" / expansion / stage

    def published(self, expansion: str) -> Path:
        return self.root / "published" / expansion

    def staging(self, fingerprint: str) -> Path:
        """Unfinished work of one fingerprint; survives a crash, ignored by git and DVC."""
        return self.root / ".growset" / "staging" / fingerprint

    @property
    def evaluations(self) -> Path:
        """The log of every evaluation on a test split."""
        return self.root / "evaluations.jsonl"

    @property
    def known_evaluations(self) -> Path:
        """A copy of that log as it was last read here, against which a shortened one is noticed."""
        return self.root / ".growset" / "evaluations.jsonl"

    def timings(self, expansion: str) -> Path:
        """Seconds each stage took when it last ran here; not part of any output, so outputs stay repeatable."""
        return self.root / ".growset" / "timings" / f"{expansion}.json"

    def hash_cache(self, expansion: str, stage: str) -> Path:
        """Hashes of the files of an output as they were last read; see `ops.hash_cache`."""
        return self.root / ".growset" / "hashes" / f"{expansion}.{stage}.json"

    def source_hash_cache(self, source: str) -> Path:
        """The same of a source's files."""
        return self.root / ".growset" / "hashes" / "sources" / f"{source}.json"

    @property
    def params(self) -> dict[str, Any]:
        """The content of params.yaml, which is read again when the file has changed; not to be written into."""
        path = self.root / PARAMS
        try:
            facts = path.stat()
        except FileNotFoundError:
            raise UserError(f"{path} does not exist") from None
        return _read_params(path, facts.st_mtime_ns, facts.st_size, facts.st_ino)

    @property
    def expansions(self) -> list[str]:
        """The active expansions: Dagster's partitions and DVC's matrix."""
        listed = self.params.get("expansions") or []
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise UserError(
                f"'expansions' in {self.root / PARAMS} must be a list of recipe names; got {shorten(listed)}"
            )
        return list(listed)

    def stage_version(self, stage: str) -> int:
        versions = self._section("stage_versions")
        if stage not in versions:
            raise UserError(f"stage_versions.{stage} is missing in {self.root / PARAMS}")
        version = versions[stage]
        if type(version) is not int or version < 1:
            raise UserError(
                f"stage_versions.{stage} in {self.root / PARAMS} is {shorten(version)}; allowed: whole numbers from 1"
            )
        return version

    def source_version(self, expansion: str) -> str | None:
        """Content hash of the source that the expansion was last made from; None before the first run."""
        return self._section("source_versions").get(expansion)

    def _section(self, key: str) -> dict[str, Any]:
        content = self.params.get(key) or {}
        if not isinstance(content, dict):
            raise UserError(f"'{key}' in {self.root / PARAMS} must hold keys and values; got {shorten(content)}")
        return content

    def load_recipe(self, expansion: str, *, active: bool = True) -> Recipe:
        """The validated recipe; UserError if there is none of this name or, with `active`, if it is not active."""
        if not NAME.fullmatch(expansion):  # it is part of addresses, paths and tags
            raise UserError(f"{expansion!r} cannot name a recipe; allowed: letters, digits and _ . -, no sign first")
        available = self.available_recipes()
        if expansion not in available:
            raise UserError(
                f"there is no recipe '{expansion}' in {self.root / 'recipes'}; {suggest(expansion, available)}"
            )
        if active and expansion not in self.expansions:
            raise UserError(f"expansion '{expansion}' is not active; run: growset activate {expansion}")
        return load_recipe(self.recipe_path(expansion))

    def available_recipes(self) -> list[str]:
        return sorted(path.stem for path in (self.root / "recipes").glob("*.yaml"))

    def edit_params(self, **changes: Any) -> None:
        """Set top-level keys of params.yaml; a mapping is merged key by key. Comments survive."""
        yaml = YAML()
        yaml.preserve_quotes = True
        path = self.root / PARAMS
        content = yaml.load(path.read_text(encoding="utf-8"))
        for key, value in changes.items():
            if isinstance(value, dict):
                if content.get(key) is None:
                    content[key] = {}
                content[key].update(value)
            else:
                content[key] = _like(content.get(key), value)
        with replace_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            yaml.dump(content, file)


def _like(old: Any, value: Any) -> Any:
    """`value` written as `old` was: ruamel ties the comment after a list to the list's last item."""
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
    """As `version` of the file holds it: a check asks a dozen times, and YAML takes ten milliseconds."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold 'expansions:' and 'stage_versions:'")
    return content


def suggest(name: str, available: list[str]) -> str:
    """The nearest available name, or all of them."""
    near = difflib.get_close_matches(name, available, n=1)
    return f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(available) or 'none'}"


def find_workspace(start: Path, *, explicit: Path | None = None) -> Workspace:
    """`explicit`, else $GROWSET_HOME, else the nearest folder from `start` upwards with params.yaml and recipes/."""
    named = explicit or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    candidates = [named] if named else [start, *start.resolve().parents]
    for folder in candidates:
        if (folder / PARAMS).is_file() and (folder / "recipes").is_dir():
            return Workspace(folder.resolve())
    raise UserError(f"{named or start} is not a Growset workspace: it has no {PARAMS} beside a recipes/ folder")


def check_stage_name(stage: str) -> None:
    """UserError unless the stage table has it."""
    if stage not in STAGES:
        raise UserError(f"there is no stage '{stage}'; {suggest(stage, list(STAGES))}")
