"""Publish an expansion: one self-contained Hugging Face dataset, pushed and verified, then optionally committed.

The order makes a break harmless: build, track, push, verify in the remote, and only then touch git.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from ruamel.yaml import YAML

from ops.chain.mixed import read_mixed
from ops.datasets.index import read_index
from ops.datasets.pixels import PixelDataset, read_split, write_shards
from ops.datasets.sources import load_source_spec
from ops.errors import EnvironmentFault, UserError
from ops.recipe.fingerprints import hash_json
from ops.recipe.schema import Recipe
from ops.recipe.stages import PUBLISHED, PUBLISHED_INPUTS
from ops.report.card import CARD, render_card
from ops.stage import MANIFEST, describe_output, exclusive, is_intact, read_manifest
from ops.storage import read_json, recover_folder, replace_folder, write_json, write_text
from ops.versioning import default_remote, missing_in_remote, push, stage_addresses, track
from ops.workspace import Workspace


@dataclass(frozen=True)
class Publication:
    """What publishing did: `remote` is None when there is none, `tag` when nothing was committed."""

    folder: Path
    manifest: dict[str, Any]
    reused: bool
    remote: str | None
    objects_sent: int
    tag: str | None


def publish(workspace: Workspace, expansion: str) -> Publication:
    """Build, track, push, verify; commit and tag if the recipe says so."""
    recipe = workspace.load_recipe(expansion)
    with exclusive(workspace, expansion, PUBLISHED):
        return _publish(workspace, expansion, recipe)


def identify_publication(workspace: Workspace, expansion: str, recipe: Recipe) -> dict[str, Any]:
    """Fingerprint of the published dataset: contents of its inputs, and what only the card says."""
    inputs = {name: read_manifest(workspace.output(expansion, name))["content"] for name in PUBLISHED_INPUTS}
    licence = load_source_spec(workspace.source_path(recipe.source)).licence
    inputs["card"] = hash_json([CARD, licence, expansion, recipe.seed, recipe.mix.real_weight])
    return {"stage": PUBLISHED, "fingerprint": hash_json(inputs), "inputs": inputs}


def _publish(workspace: Workspace, expansion: str, recipe: Recipe) -> Publication:
    identity = identify_publication(workspace, expansion, recipe)
    fingerprint = identity["fingerprint"]
    target = workspace.published(expansion)
    recover_folder(target)
    reused = is_intact(target, fingerprint)
    if not reused:
        staged = workspace.staging(fingerprint) / "published"
        if staged.exists():
            shutil.rmtree(staged)
        staged.mkdir(parents=True)
        metrics = build_dataset(workspace, expansion, recipe, staged)
        write_json(staged / MANIFEST, describe_output(staged, identity, metrics))
        replace_folder(staged, target)
        shutil.rmtree(workspace.staging(fingerprint))
    pointer = track(workspace.root, target)
    remote = default_remote(workspace.root)
    sent = 0
    if remote is not None:
        targets = _pushed_targets(workspace, expansion)
        sent = push(workspace.root, targets)
        if missing := missing_in_remote(workspace.root, targets):
            raise EnvironmentFault(
                f"remote '{remote[0]}' lacks {len(missing)} objects after the push, the first {missing[0]};"
                " run it again"
            )
        _note_push(workspace, expansion, remote, fingerprint)
    tag = commit_publication(workspace, expansion, pointer) if recipe.publish.commit and remote is not None else None
    return Publication(target, read_manifest(target), reused, remote[0] if remote else None, sent, tag)


def is_published(workspace: Workspace, expansion: str, recipe: Recipe) -> bool:
    """Whether the published dataset is the one that the present outputs give, and the present remote has it all.

    The remote is asked only when this workspace has not pushed this very dataset there itself.
    """
    target = workspace.published(expansion)
    if not target.with_suffix(".dvc").exists():
        return False
    fingerprint = identify_publication(workspace, expansion, recipe)["fingerprint"]
    if not is_intact(target, fingerprint):
        return False
    remote = default_remote(workspace.root)
    note = _push_note(workspace, expansion)
    if remote is None or (note.exists() and read_json(note) == [*remote, fingerprint]):
        return True
    if missing_in_remote(workspace.root, _pushed_targets(workspace, expansion)):
        return False
    _note_push(workspace, expansion, remote, fingerprint)
    return True


def _pushed_targets(workspace: Workspace, expansion: str) -> list[str]:
    return [str(workspace.published(expansion).with_suffix(".dvc")), *stage_addresses(expansion)]


def _push_note(workspace: Workspace, expansion: str) -> Path:
    return workspace.root / ".growset" / "pushed" / f"{expansion}.json"


def _note_push(workspace: Workspace, expansion: str, remote: tuple[str, str], fingerprint: str) -> None:
    write_json(_push_note(workspace, expansion), [*remote, fingerprint])


def build_dataset(workspace: Workspace, expansion: str, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Write data/*.parquet, README.md (card) and verdict.json into `folder`."""
    real, generated = (workspace.output(expansion, name) for name in ("real_images", "generated_images"))
    index = read_index(workspace.output(expansion, "mixed_dataset"))
    mixed = read_mixed(index, real, generated)
    train = PixelDataset(mixed.images, mixed.rows.with_columns(weight=index["weight"]), mixed.class_names)
    counts = {"train": len(train)}
    write_shards(folder / "data", train, prefix="train")
    for split in ("validation", "test"):
        dataset = read_split(real, split)
        counts[split] = len(dataset)
        write_shards(folder / "data", dataset, prefix=split)
    verdict = read_json(workspace.output(expansion, "verdict") / "verdict.json")
    write_json(folder / "verdict.json", verdict)
    table = (
        train.rows.group_by("label")
        .agg(real=(~pl.col("is_generated")).sum(), generated=pl.col("is_generated").sum())
        .sort("label")
    )
    card = render_card(
        expansion=expansion,
        licence=load_source_spec(workspace.source_path(recipe.source)).licence,
        class_counts=[(train.class_names[row["label"]], row["real"], row["generated"]) for row in table.to_dicts()],
        split_counts=counts,
        funnel=read_manifest(workspace.output(expansion, "accepted_images"))["metrics"],
        verdict=verdict,
        seed=recipe.seed,
        real_weight=recipe.mix.real_weight,
    )
    write_text(folder / "README.md", card)
    return {**counts, "generated": int(train.rows["is_generated"].sum()), "decision": verdict["decision"]}


def commit_publication(workspace: Workspace, expansion: str, pointer: Path) -> str | None:
    """One git commit: pointer and its .gitignore, recipe, this expansion's entries of dvc.lock and params.yaml.

    Tagged <expansion>/vN. Entries of other expansions stay uncommitted, because what they point to may not
    be pushed. UserError when other changes are staged; None when nothing changed since the last commit.
    """
    root = workspace.root
    if staged := _git(root, "diff", "--cached", "--name-only").split():
        raise UserError(f"git has staged changes ({staged[0]}); commit or unstage them before publishing")
    # DVC writes the .gitignore beside the pointer. (A rule for published/ in the root's .gitignore would make
    # DVC skip the whole folder, pointers and all.)
    _git(root, "add", "--", str(pointer), str(pointer.with_name(".gitignore")), str(workspace.recipe_path(expansion)))
    _stage_entries(root, "dvc.lock", "stages", set(stage_addresses(expansion)))
    _stage_entries(root, "params.yaml", "source_versions", {expansion})
    if not _git(root, "diff", "--cached", "--name-only").split():
        return None
    version = 1 + max(
        (
            int(match[1])
            for tag in _git(root, "tag", "--list", f"{expansion}/v*").split()
            if (match := re.fullmatch(rf"{re.escape(expansion)}/v(\d+)", tag))
        ),
        default=0,
    )
    tag = f"{expansion}/v{version}"
    _git(root, "commit", "--message", f"Publish {tag}")
    _git(root, "tag", tag)
    return tag


def _stage_entries(root: Path, name: str, section: str, keys: set[str]) -> None:
    """Put only `keys` of a YAML file's section into git's index, on top of the committed file."""
    yaml = YAML()
    current = yaml.load((root / name).read_text(encoding="utf-8"))
    known = bool(_git(root, "ls-tree", "--name-only", "HEAD", "--", name).strip())
    committed = yaml.load(_git(root, "show", f"HEAD:./{name}")) if known else {**current, section: {}}
    entries = {key: value for key, value in current[section].items() if key in keys}
    committed.setdefault(section, {}).update(entries)
    buffer = io.StringIO()
    yaml.dump(committed, buffer)
    blob = _git(root, "hash-object", "-w", "--stdin", text=buffer.getvalue()).strip()
    _git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{_prefix(root)}{name}")


def _prefix(root: Path) -> str:
    """The workspace's folder within its git repository, with a slash, or nothing."""
    return _git(root, "rev-parse", "--show-prefix").strip()


def _git(root: Path, *arguments: str, text: str | None = None) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentFault(f"git {arguments[0]} failed in {root}: {done.stderr.strip()}")
    return done.stdout
