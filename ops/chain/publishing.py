"""Publish an expansion: one self-contained Hugging Face dataset, pushed and verified, then optionally committed.

The order makes an interruption harmless: build, track, push, verify in the remote, and only then touch git.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from ops.datasets.index import read_index
from ops.datasets.mixed import read_mixed
from ops.datasets.pixels import PixelDataset, read_split, write_shards
from ops.datasets.unlabelled import find_growing, name_classes, write_labels
from ops.errors import EnvironmentFault, GeneratorNotUsed, UserError
from ops.files.hashing import hash_file, hash_json
from ops.files.manifests import MANIFEST, PUBLISHED, describe_output, read_manifest
from ops.files.outputs import CARD, DATA, REPORT, VERDICT, WORTH
from ops.files.storage import read_json, recover_folder, replace_folder, write_json, write_text
from ops.filters.results import read_results
from ops.history.committing import commit_publication, is_committed
from ops.history.dvc_repository import changed_stages, object_folders, stage_addresses, track
from ops.machine.interruption import at, check
from ops.machine.progress import Sink, ignore
from ops.recipe.diffusion import PipelineSettings
from ops.recipe.generator import OnnxSettings
from ops.recipe.schema import Recipe
from ops.recipe.stages import PUBLISHED_INPUTS, upstream
from ops.recipe.unlabelled import list_shown
from ops.remotes.torn_objects import remove_torn
from ops.remotes.transfer import default_remote, find_faults, push
from ops.report.card import TEMPLATE, render_card
from ops.report.card import WORTH as WORTH_TEMPLATE
from ops.report.origin import find_origin
from ops.report.worth import LOCAL
from ops.sources.spec import load_source_spec
from ops.stages.integrity import is_intact, require_intact
from ops.stages.materialization import find_staleness
from ops.stages.refused import read_refused
from ops.stages.seen import Seen, read_seen
from ops.stages.several import count_generators, read_part
from ops.stages.unused import read_unused
from ops.stages.without_labels import WithoutLabels, read_without_labels
from ops.workspaces.locks import exclusive
from ops.workspaces.workspace import Workspace

LAST = "verdict"  # of the stages whose outputs are published
COMPARED = ("accept_rate", "mean_label_probability", "median_train_distance")  # of accepted_images, kept for diffs


@dataclass(frozen=True)
class Publication:
    """The result of publishing: `remote` is None if there is none, `tag` is None if nothing was committed."""

    manifest: dict[str, Any]
    reused: bool
    remote: str | None
    objects_sent: int
    tag: str | None


def publish(workspace: Workspace, expansion: str) -> Publication:
    """Build, track, push, verify; commit and tag if the recipe says so.

    GeneratorNotUsed if nothing was generated because the generator has not learnt.
    """
    recipe = workspace.load_recipe(expansion)
    check()
    with at(f"in stage {PUBLISHED} of '{expansion}'"), exclusive(workspace, expansion, PUBLISHED):
        return _publish(workspace, expansion, recipe)


def find_refusal(workspace: Workspace, expansion: str) -> GeneratorNotUsed | None:
    """Why the present outputs are not published; None if they may be.

    Where the controller left the images out of every arm they are published too: they are there, and whoever starts a
    run wants them, whatever the verdict. A run that started by itself asks `ops.chain.triggers.gate` besides.
    """
    if read_unused(workspace.output(expansion, "generated_images")) is None:
        return None
    report = workspace.output(expansion, "report") / REPORT
    return GeneratorNotUsed(
        f"nothing is published of '{expansion}', because its generator was not used; why, and what would help: {report}"
    )


def identify_publication(workspace: Workspace, expansion: str, recipe: Recipe) -> dict[str, Any]:
    """Fingerprint of the published dataset: the contents of its inputs, and the facts that only the card contains."""
    inputs = {name: read_manifest(workspace.output(expansion, name))["content"] for name in PUBLISHED_INPUTS}
    licence = load_source_spec(workspace.source_path(recipe.source)).licence
    refused = read_refused(workspace.output(expansion, "generated_images"))
    seen = _read_seen(workspace, expansion, recipe)
    seeing = list_shown(recipe.data, recipe.baselines)
    without, weights = _read_without_labels(workspace, expansion), _find_licence(recipe)
    origin = find_origin(_is_trained_here(recipe), refused, seen, weights, _is_tuned(recipe), seeing, without)
    facts = [TEMPLATE, licence, expansion, recipe.seed, recipe.mix.real_weight, _has_own_weights(recipe), origin]
    inputs["card"] = hash_json(facts)
    if (worth := _read_worth(workspace, expansion, recipe)) is not None:
        inputs["worth"] = hash_json([WORTH_TEMPLATE, worth])
    return {"stage": PUBLISHED, "fingerprint": hash_json(inputs), "inputs": inputs}


def _read_seen(workspace: Workspace, expansion: str, recipe: Recipe) -> Seen | None:
    """What the recipe's prior saw, and a generator that learnt from its pool; None without one."""
    if recipe.prior is None:
        return None
    seen = read_seen(workspace.output(expansion, "prior"), workspace.output(expansion, "generated_images"))
    described = None if seen is None else workspace.source_path(seen.pool)
    if seen is None or described is None or not described.exists():
        return seen
    return replace(seen, licence=load_source_spec(described).licence)  # it may have been corrected since


def _read_without_labels(workspace: Workspace, expansion: str) -> tuple[WithoutLabels, str] | None:
    """The images without labels that are expanded, and their licence; None where the labelled ones are."""
    found = read_without_labels(workspace.output(expansion, "real_images"))
    return None if found is None else (found, load_source_spec(workspace.source_path(found.source)).licence)


def _read_worth(workspace: Workspace, expansion: str, recipe: Recipe) -> dict[str, Any] | None:
    """What gains are worth in labels, as the report tells it but for what differs wherever the chain is run; None where
    the recipe does not ask."""
    if recipe.report.worth is None:
        return None
    worth: dict[str, Any] = read_json(workspace.output(expansion, "report") / WORTH)
    return {key: value for key, value in worth.items() if key not in LOCAL}


def _is_trained_here(recipe: Recipe) -> bool:
    return not isinstance(recipe.generator, OnnxSettings | PipelineSettings)


def _find_licence(recipe: Recipe) -> str | None:
    """The licence of the generator's weights, where they were brought in and the recipe states it."""
    return recipe.generator.licence if isinstance(recipe.generator, PipelineSettings) else None


def _is_tuned(recipe: Recipe) -> bool:
    """Whether weights that were brought in are fine-tuned on the real training images."""
    return getattr(recipe.generator, "lora", None) is not None


def _has_own_weights(recipe: Recipe) -> bool:
    """Whether an arm may be trained with another weight of real images than `mix.real_weight`."""
    tried = recipe.classifier.grid.real_weight is not None
    return tried or any((arm.real_weight, arm.beta) != (None, None) for arm in recipe.expanded.values())


def _publish(workspace: Workspace, expansion: str, recipe: Recipe) -> Publication:
    inputs = [*PUBLISHED_INPUTS, *(["report"] if recipe.report.worth is not None else [])]
    require_intact(workspace, expansion, inputs)
    _require_current(workspace, expansion, recipe)
    if refusal := find_refusal(workspace, expansion):
        raise refusal
    identity = identify_publication(workspace, expansion, recipe)
    fingerprint = identity["fingerprint"]
    target = workspace.published(expansion)
    recover_folder(target)
    cache = workspace.hash_cache(expansion, PUBLISHED)
    reused = is_intact(target, fingerprint, cache)
    if not reused:
        staged = workspace.staging(fingerprint) / "published"
        if staged.exists():
            shutil.rmtree(staged)
        staged.mkdir(parents=True)
        metrics = build_dataset(workspace, expansion, recipe, staged)
        require_intact(workspace, expansion, inputs)
        if identify_publication(workspace, expansion, workspace.load_recipe(expansion)) != identity:
            raise EnvironmentFault(
                f"the inputs of the published '{expansion}' changed meanwhile; nothing was published, run it again:"
                f" growset run {expansion}"
            )
        write_json(staged / MANIFEST, describe_output(staged, identity, metrics))
        replace_folder(staged, target)
    if workspace.staging(fingerprint).exists():
        shutil.rmtree(workspace.staging(fingerprint))
    pointer = track(workspace.root, target)
    remove_torn(object_folders(workspace.root))
    require_intact(workspace, expansion, [PUBLISHED])
    remote = default_remote(workspace.root)
    sent = 0
    if remote is not None:
        sent = push(workspace.root, pushed_targets(workspace, expansion))
    write_json(_note_path(workspace, expansion), _describe_note(workspace, remote, fingerprint, pointer))
    tag = None
    if recipe.publish.commit and remote is not None:
        if workspace.load_recipe(expansion) != recipe:  # a push takes long
            raise EnvironmentFault(
                f"{workspace.recipe_path(expansion)} was edited while '{expansion}' was published: the data is in the"
                f" remote, and nothing was committed; run it again: growset run {expansion}"
            )
        tag = commit_publication(workspace, expansion, pointer)
    return Publication(read_manifest(target), reused, remote[0] if remote else None, sent, tag)


def _require_current(workspace: Workspace, expansion: str, recipe: Recipe) -> None:
    """UserError if an output does not follow from the recipe, whose text the publication's commit holds. The source is
    taken as it was when it was read."""
    for stage in (*upstream(LAST), LAST):
        folder = workspace.output(expansion, stage)
        known = read_manifest(folder)["inputs"].get("source") if (folder / MANIFEST).exists() else None
        if stale := find_staleness(workspace, expansion, stage, recipe, known, files=False):
            raise UserError(f"'{expansion}' is not published: {stage} {stale.why}; first run: growset run {expansion}")


def is_published(
    workspace: Workspace,
    expansion: str,
    recipe: Recipe,
    *,
    ask_remote: bool = True,
    committed: bool = True,
    sink: Sink = ignore,
) -> bool:
    """Whether the published dataset follows from the present outputs, and is tracked, pushed and committed as asked.

    committed: False if it need not be in git. DVC is asked only if this workspace did not track and push this dataset
    itself. The remote is asked for every object unless `ask_remote` is False; `sink` gets a line on a fault there.
    """
    target = workspace.published(expansion)
    pointer = workspace.pointer(expansion)
    if not pointer.exists():
        return False
    fingerprint = identify_publication(workspace, expansion, recipe)["fingerprint"]
    if not is_intact(target, fingerprint, workspace.hash_cache(expansion, PUBLISHED)):
        return False
    remote = default_remote(workspace.root)
    if committed and recipe.publish.commit and remote is not None and not is_committed(workspace, expansion, pointer):
        return False
    note = _note_path(workspace, expansion)
    noted = note.exists() and read_json(note) == _describe_note(workspace, remote, fingerprint, pointer)
    if not noted and changed_stages(workspace.root, [str(pointer)]):  # the pointer is of an earlier dataset
        return False
    asked = remote is not None and (ask_remote or not noted)
    if asked and (faults := find_faults(workspace.root, pushed_targets(workspace, expansion))):
        (file, fault), *more = sorted(faults.items())
        others = f" ({len(more)} more objects are faulty too)" if more else ""
        sink(f"remote: its copy of {file} {fault}{others}; it is sent again")
        return False
    write_json(note, _describe_note(workspace, remote, fingerprint, pointer))
    return True


def find_unpublished(workspace: Workspace, expansion: str, recipe: Recipe) -> str | None:
    """Why the present outputs are not published completely; None if they are.

    No file but the pointer is hashed, and neither DVC, which takes long to load, nor the remote is asked: the note that
    this workspace makes after a push stands for both. GrowsetError or OSError if something cannot be read.
    """
    fingerprint = identify_publication(workspace, expansion, recipe)["fingerprint"]
    target, note = workspace.published(expansion), _note_path(workspace, expansion)
    pointer = workspace.pointer(expansion)
    made = pointer.exists() and (target / MANIFEST).exists()
    if not made or read_manifest(target)["fingerprint"] != fingerprint:
        return f"{PUBLISHED} is not of the present outputs"
    remote, *rest = read_json(note) if note.exists() else [None]
    if rest[1:] != _describe_note(workspace, None, fingerprint, pointer)[2:]:
        return f"{PUBLISHED} is not known to be in the remote that is configured now"
    if recipe.publish.commit and remote is not None and not is_committed(workspace, expansion, pointer):
        return f"{PUBLISHED} is not committed to git"
    return None


def pushed_targets(workspace: Workspace, expansion: str) -> list[str]:
    return [str(workspace.pointer(expansion)), *stage_addresses(expansion)]


def _note_path(workspace: Workspace, expansion: str) -> Path:
    return workspace.root / ".growset" / "pushed" / f"{expansion}.json"


def _describe_note(
    workspace: Workspace, remote: tuple[str, str] | None, fingerprint: str, pointer: Path
) -> list[str | None]:
    """This workspace's note on a dataset that it has tracked and, if there is a remote, pushed.

    The pointer's bytes are part of it, because git may have put that of another version there.
    """
    return [*(remote or (None, None)), fingerprint, _hash_configuration(workspace), hash_file(pointer)]


def _hash_configuration(workspace: Workspace) -> str:
    """Changes with DVC's settings for this workspace, which name its remote; those of the machine are left out."""
    files = [workspace.root / ".dvc" / name for name in ("config", "config.local")]
    return hash_json([path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in files])


def build_dataset(workspace: Workspace, expansion: str, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Write data/*.parquet, README.md (card), verdict.json and, where the recipe asks, worth.json into `folder`."""
    real, generated = (workspace.output(expansion, name) for name in ("real_images", "generated_images"))
    index = read_index(workspace.output(expansion, "mixed_dataset"))
    mixed, names = read_mixed(index, find_growing(real), generated), name_classes(real)
    rows = write_labels(real, mixed.rows).with_columns(weight=index["weight"])
    train = PixelDataset(mixed.images, rows, names)
    counts = {"train": len(train)}
    write_shards(folder / DATA, train, prefix="train")
    for split in ("validation", "test"):
        dataset = read_split(real, split)
        counts[split] = len(dataset)
        write_shards(folder / DATA, PixelDataset(dataset.images, dataset.rows, names), prefix=split)
    verdict = read_json(workspace.output(expansion, "verdict") / VERDICT)
    write_json(folder / VERDICT, verdict)
    if (worth := _read_worth(workspace, expansion, recipe)) is not None:
        write_json(folder / WORTH, worth)
    table = (
        train.rows.group_by("label")
        .agg(real=(~pl.col("is_generated")).sum(), generated=pl.col("is_generated").sum())
        .sort("label")
    )
    accepted = workspace.output(expansion, "accepted_images")
    card = render_card(
        expansion=expansion,
        licence=load_source_spec(workspace.source_path(recipe.source)).licence,
        class_counts=[(train.class_names[row["label"]], row["real"], row["generated"]) for row in table.to_dicts()],
        split_counts=counts,
        results=read_results(accepted, workspace.output(expansion, "expansion_plan")),
        verdict=verdict,
        seed=recipe.seed,
        real_weight=recipe.mix.real_weight,
        generators=count_generators(accepted),
        own_weights=_has_own_weights(recipe),
        trained_here=_is_trained_here(recipe),
        refused=read_refused(generated),
        seen=_read_seen(workspace, expansion, recipe),
        weights=_find_licence(recipe),
        tuned=_is_tuned(recipe),
        seeing=list_shown(recipe.data, recipe.baselines),
        without=_read_without_labels(workspace, expansion),
        worth=worth,
    )
    write_text(folder / CARD, card)
    filtered = read_part(accepted)["metrics"]
    return {
        **counts,
        "generated": int(train.rows["is_generated"].sum()),
        "decision": verdict["decision"],
        "quality": {key: filtered[key] for key in COMPARED},
    }
