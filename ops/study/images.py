"""The workspace in which a study makes its datasets: images put aside once, and a recipe for each setting and seed.

Only the source's training images are opened. Some of each class become the study's validation split and its evaluation
split, which takes the place of the test split; settings take theirs from the rest. The workspace has no repository, so
none of its outputs is versioned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ops.datasets.identity import content_ids
from ops.datasets.longtail import order_classes
from ops.datasets.pixels import PixelDataset
from ops.datasets.subset import find_sizes
from ops.errors import UserError
from ops.files.hashing import hash_json
from ops.files.storage import replace_file, write_json
from ops.recipe.data import DataSettings
from ops.recipe.loading import explain
from ops.sources.layouts import LAYOUTS
from ops.sources.reading import hash_source, read_source, read_training
from ops.sources.remote import fetch_source
from ops.sources.spec import SourceSpec, is_remote, load_source_spec
from ops.study.pool import ARRAYS, SOURCE
from ops.study.sections import Images
from ops.workspaces.workspace import Workspace, suggest


def describe_source(images: Images, workspace: Workspace, place: str) -> SourceSpec:
    """The source of a study, with an absolute path or a URI; UserError for a mistake in it. `place` is for messages."""
    if isinstance(images.source, str):
        path = workspace.source_path(images.source)
        if not path.is_file():
            known = sorted(each.stem for each in path.parent.glob("*.yaml"))
            raise UserError(f"{place}: there is no source '{images.source}'; {suggest(images.source, known)}")
        return load_source_spec(path)
    try:
        spec = SourceSpec.model_validate({**images.source, "name": SOURCE})
    except ValidationError as error:
        raise UserError(explain(error, f"{place}, images.source", SourceSpec)) from None
    return spec if is_remote(spec.path) else spec.model_copy(update={"path": str(workspace.root / spec.path)})


def read_images(spec: SourceSpec) -> PixelDataset:
    """All training images. Where the description draws splits from them, only those that stay training images."""
    return read_training(spec) if spec.split is None else read_source(spec).splits["train"]


def put_aside(
    labels: np.ndarray, ids: np.ndarray, names: Sequence[str], sizes: Mapping[str, int], seed: int
) -> dict[str, np.ndarray]:
    """Rows of train and of the splits of `sizes`, which have so many images of each class.

    A picture that is there twice is used once, with its first label. labels: int [n]. ids: content id of each image
    [n]. names: of the classes. UserError where a class has too few images.
    """
    _, first = np.unique(ids, return_index=True)
    rows: dict[str, list[np.ndarray]] = {split: [] for split in (*sizes, "train")}
    ends = np.cumsum(list(sizes.values()))
    for label in range(len(names)):
        members = np.sort(first[labels[first] == label])
        if len(members) <= ends[-1]:
            raise UserError(
                f"class {names[label]} has {len(members)} different images, and {ends[-1]} of each class are put aside"
                f" ({' and '.join(sizes)}); lower images.evaluation or images.validation"
            )
        drawn = np.random.default_rng([seed, int(label)]).permutation(members)
        for split, part in zip(rows, np.split(drawn, ends), strict=True):
            rows[split].append(part)
    return {split: np.sort(np.concatenate(parts)) for split, parts in rows.items()}


def open_workspace(root: Path, main: Workspace, images: Images, place: str) -> Workspace:
    """The study's workspace in `root`, made where it is missing or was made of other images.

    main: the workspace of the study, whose versions of the stages hold here, too. place: for messages.
    """
    spec = describe_source(images, main, place)
    try:
        own = _put_images(root, fetch_source(spec, root / "mirrors"), images)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    (own.root / "recipes").mkdir(exist_ok=True)
    versions = {stage: main.stage_version(stage) for stage in main.params["stage_versions"]}
    # All recipes stay active: where two settings want the same generator, the second takes that of the first.
    params = {"expansions": own.available_recipes(), "stage_versions": versions, "source_versions": {}}
    write_json(own.root / "params.yaml", params)
    return own


def read_unchanged(own: Workspace, ids: Sequence[str], split: str = "test") -> np.ndarray:
    """Images of a split as the source has them, before any nuisance, uint8 [n, H, W, C].

    ids: their content ids, as `parent_id` of the stage real_images has them. KeyError for one that is not there.
    """
    with np.load(own.root / ARRAYS) as arrays:
        images = arrays[f"{split}_images"]
    rows = {name: row for row, name in enumerate(content_ids(images))}
    return np.asarray(images[[rows[name] for name in ids]])


def _put_images(root: Path, spec: SourceSpec, images: Images) -> Workspace:
    """The workspace with the images of a source and its description."""
    chosen = images.model_dump(mode="json", exclude={"source", "pool", "unlabelled"})
    content = hash_json([hash_source(spec, root / "hashes" / f"{spec.name}.json"), chosen])
    own = Workspace(root / content[:16])
    arrays = own.root / ARRAYS
    if arrays.exists():
        return own
    if LAYOUTS[spec.kind].list_splits(spec)["train"].groups is not None:
        raise UserError("the source has groups, and a study would evaluate on images of groups that it trains on")
    train = read_images(spec)
    ids = np.array([name.partition("-")[0] for name in train.rows["image_id"]])
    rows = put_aside(
        train.labels, ids, train.class_names, {"test": images.evaluation, "val": images.validation}, images.seed
    )
    found = {f"{split}_images": train.images[each] for split, each in rows.items()}
    found |= {f"{split}_labels": train.labels[each] for split, each in rows.items()}
    described = {"kind": "npz", "path": f"../{ARRAYS}", "licence": spec.licence, "class_names": train.class_names}
    write_json(own.source_path(SOURCE), described)  # JSON is YAML
    with replace_file(arrays) as temporary, temporary.open("wb") as file:
        np.savez(file, **found)
    return own


def check_sizes(
    own: Workspace, data: DataSettings, seed: int, place: str, rows: np.ndarray | None = None
) -> np.ndarray:
    """The training images of each class that a recipe's `data:` takes, int64 [K]; reads labels alone.

    rows: those of the study's training images that the recipe's source has; None: all. UserError where there are too
    few.
    """
    names = list(load_source_spec(own.source_path(SOURCE)).class_names or ())
    with np.load(own.root / ARRAYS) as arrays:
        labels = arrays["train_labels"]
    labels = labels if rows is None else labels[rows]
    for name in data.classes or ():
        if name not in names:
            raise UserError(f"{place}: data.classes names {name!r}; {suggest(name, names)}")
    kept = [names.index(name) for name in data.classes or names]
    counts = np.bincount(labels, minlength=len(names))[kept]
    wanted = np.full(len(kept), data.images_per_class or 1)
    taken = np.minimum(counts, data.images_per_class or counts.max())
    if (tail := data.long_tail) is not None:
        counts = taken
        left = np.repeat(np.arange(len(kept)), counts)
        try:
            sizes = find_sizes(tail, left, len(kept), seed)
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        taken = np.empty_like(counts)
        taken[order_classes(left, len(kept), class_order=tail.order, seed=seed)] = sizes
        if data.nuisance is None:  # with one, an image may be used several times
            wanted = taken
    for number, (has, needs) in enumerate(zip(counts.tolist(), wanted.tolist(), strict=True)):
        if has < needs:
            raise UserError(
                f"{place}: class {names[kept[number]]} is to have {needs:,} training images, and {has:,} are"
                f" {'not put aside' if rows is None else 'among those that are expanded'}"
            )
    return taken
