"""The images of a study that are expanded without their labels: `images.unlabelled`, so many for each seed.

They are drawn evenly over the classes from what is left when the evaluation and validation images were put aside, and
become a source of their own, which a block's recipe names as its images without labels. The first ones of each class
keep their label and are the recipe's labelled source: `data.images_per_class` of them, which are the same at a seed
however many others there are. So generators and contrastive arms see all of them and no label, and a probe learns the
labels of some. Where all keep it, both are one source. The module does not know what learns from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ops.errors import UserError
from ops.files.hashing import hash_json
from ops.files.storage import replace_file, write_json
from ops.recipe.schema import Recipe
from ops.sources.spec import load_source_spec
from ops.study.pool import ALL, ARRAYS, SOURCE, PoolSize
from ops.workspaces.workspace import Workspace

KEY = "images.unlabelled"
STREAM = 2**31 + 1  # of the draw; a pool has another one


def hide_labels(content: Mapping[str, Any], size: PoolSize | None, here: str, *, grows: bool) -> dict[str, Any]:
    """A recipe's content that expands so many images without their labels; as it is where `size` is None.

    grows: whether the study trains arms with generated images; else the one that a recipe must have, and its
    counterpart, under a name that no arm has, learn without labels. UserError for a recipe that has such images of its
    own; `here` begins it.
    """
    data = content.get("data") or {}
    named = data.get("unlabelled") if isinstance(data, Mapping) else None
    if size is None and named is not None:
        raise UserError(
            f"{here}: the recipe expands images without labels, and a study takes them from its own; add {KEY}: {ALL},"
            " or a number of training images"
        )
    if size is None or not isinstance(data, Mapping):
        return dict(content)
    source, arm = f"{SOURCE}-unlabelled-{size}", {"trainer": "simclr"}
    found = {**content, "source": source, "data": {**data, "unlabelled": source}}
    if not grows:
        baselines, counterpart = content["baselines"], "expanded-real"
        while counterpart in baselines:
            counterpart += "-"
        found |= {"expanded": {"expanded": arm}, "baselines": {**baselines, counterpart: arm}}
    return found


def name_drawn(recipe: Recipe, seed: int, size: PoolSize | None, largest: int) -> Recipe:
    """The recipe with the names of the images that this seed draws, and of those of them that are labelled; one without
    such images as it is.

    size: of the draw; of all images there is one draw for all seeds. largest: images of the largest class in it.
    """
    if recipe.data.unlabelled is None:
        return recipe
    classes, labelled = recipe.data.classes, recipe.data.images_per_class
    ending = "" if classes is None else f"-{hash_json(sorted(classes))[:8]}"
    name = recipe.data.unlabelled + f"-seed{seed}" * (size != ALL) + ending
    keeps_some = labelled is not None and labelled < largest
    source = f"{SOURCE}-labelled-{labelled}-seed{seed}{ending}" if keeps_some else name
    data = recipe.data.model_copy(update={"unlabelled": name})
    return recipe.model_copy(update={"source": source, "data": data})


def count_largest(own: Workspace, size: PoolSize | None, classes: Sequence[str] | None) -> int:
    """Images of the largest class in a draw from some classes, None: all; 0 without a draw. Reads labels alone."""
    if size is None:
        return 0
    labels, kept, _ = _read_labels(own, classes)
    if size == ALL:
        return int(np.bincount(labels)[kept].max(initial=0))
    return -(-int(size) // max(1, len(kept)))


def draw_evenly(
    labels: np.ndarray, names: Sequence[str], size: PoolSize, kept: Sequence[int], seed: int, *, each: int | None = None
) -> np.ndarray:
    """Rows int64 [n], sorted, as many of each class as of any other, or one more of the first ones.

    A smaller draw is part of a larger one. labels: int [m]. names: of all classes. kept: the classes that are drawn
    from. each: at most so many of a class; None: all that are drawn. UserError where one of them has too few images.
    """
    share, more = (0, 0) if size == ALL else divmod(int(size), max(1, len(kept)))
    found = [np.empty(0, np.int64)]
    for place, label in enumerate(sorted(kept)):
        members = np.flatnonzero(labels == label)
        wanted = len(members) if size == ALL else share + (place < more)
        if wanted > len(members):
            raise UserError(
                f"{KEY} is {int(size):,}, so {wanted:,} of class {names[label]}, and {len(members):,} are left when"
                f" evaluation and validation images are put aside; lower it, or write {ALL}"
            )
        found.append(np.random.default_rng([seed, STREAM, label]).permutation(members)[:wanted][:each])
    return np.sort(np.concatenate(found))


def choose_unlabelled(
    own: Workspace, size: PoolSize, classes: Sequence[str] | None, seed: int, *, each: int | None = None
) -> np.ndarray:
    """The rows of `draw_evenly` among the study's training images; reads labels alone. Raises as it does."""
    labels, kept, names = _read_labels(own, classes)
    return draw_evenly(labels, names, size, kept, seed, each=each)


def _read_labels(own: Workspace, classes: Sequence[str] | None) -> tuple[np.ndarray, list[int], list[str]]:
    """Of the study's training images, int [n]; which of all classes some are, None: all, and the names of all."""
    names = list(load_source_spec(own.source_path(SOURCE)).class_names or ())
    with np.load(own.root / ARRAYS) as arrays:
        labels = arrays["train_labels"]
    return labels, [names.index(name) for name in names if classes is None or name in classes], names


def put_unlabelled(own: Workspace, recipe: Recipe, size: PoolSize) -> None:
    """Write the sources that a block's recipe names, where they are missing. Raises as `draw_evenly`.

    own: the study's workspace, with its images.
    """
    assert recipe.data.unlabelled is not None, "it is named where images are drawn"
    for name in {recipe.data.unlabelled, recipe.source}:
        each = None if name == recipe.data.unlabelled else recipe.data.images_per_class
        if not own.source_path(name).exists():
            rows = choose_unlabelled(own, size, recipe.data.classes, recipe.seed, each=each)
            _put_source(own, name, rows)


def _put_source(own: Workspace, name: str, rows: np.ndarray) -> None:
    """Write some rows of the study's training images, with all others, as a source."""
    with np.load(own.root / ARRAYS) as arrays:
        found = {key: array[rows] if key.startswith("train_") else array for key, array in arrays.items()}
    images = own.root / f"{name}.npz"
    with replace_file(images) as temporary, temporary.open("wb") as file:
        np.savez(file, **found)
    spec = load_source_spec(own.source_path(SOURCE))
    described = {"kind": "npz", "path": f"../{images.name}", "licence": spec.licence, "class_names": spec.class_names}
    write_json(own.source_path(name), described)  # JSON is YAML
