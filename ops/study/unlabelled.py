"""The images of a study that are expanded without their labels: `images.unlabelled`, so many for each seed.

They are drawn evenly over the classes from what is left when the evaluation and validation images were put aside, and
become a source of their own. A block's recipe names it twice: as its labelled source, of which it takes
`data.images_per_class`, and as its images without labels. So generators and contrastive arms see all of them and no
label, and a probe learns the labels of some. The module does not know what learns from them.
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
    counterpart, learn without labels. UserError for a recipe that has such images of its own; `here` begins it.
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
        found |= {"expanded": {"expanded": arm}, "baselines": {**content["baselines"], "expanded-real": arm}}
    return found


def name_drawn(recipe: Recipe, seed: int) -> Recipe:
    """The recipe with the name of the images that this seed draws; one without such images as it is."""
    if recipe.data.unlabelled is None:
        return recipe
    name, classes = f"{recipe.data.unlabelled}-seed{seed}", recipe.data.classes
    if classes is not None:
        name += f"-{hash_json(sorted(classes))[:8]}"
    data = recipe.data.model_copy(update={"unlabelled": name})
    return recipe.model_copy(update={"source": name, "data": data})


def draw_evenly(labels: np.ndarray, names: Sequence[str], size: PoolSize, kept: Sequence[int], seed: int) -> np.ndarray:
    """Rows int64 [n], sorted, as many of each class as of any other, or one more of the first ones.

    A smaller draw is part of a larger one. labels: int [m]. names: of all classes. kept: the classes that are drawn
    from. UserError where one of them has too few images.
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
        found.append(np.random.default_rng([seed, STREAM, label]).permutation(members)[:wanted])
    return np.sort(np.concatenate(found))


def choose_unlabelled(own: Workspace, size: PoolSize, classes: Sequence[str] | None, seed: int) -> np.ndarray:
    """The rows of `draw_evenly` among the study's training images; reads labels alone. Raises as it does."""
    names = list(load_source_spec(own.source_path(SOURCE)).class_names or ())
    with np.load(own.root / ARRAYS) as arrays:
        labels = arrays["train_labels"]
    kept = [names.index(name) for name in names if classes is None or name in classes]
    return draw_evenly(labels, names, size, kept, seed)


def put_unlabelled(own: Workspace, recipe: Recipe, size: PoolSize) -> None:
    """Write the source that a block's recipe names, where it is missing. Raises as `draw_evenly`.

    own: the study's workspace, with its images.
    """
    path = own.source_path(recipe.source)
    if path.exists():
        return
    rows = choose_unlabelled(own, size, recipe.data.classes, recipe.seed)
    with np.load(own.root / ARRAYS) as arrays:
        found = {name: array[rows] if name.startswith("train_") else array for name, array in arrays.items()}
    images = own.root / f"{recipe.source}.npz"
    with replace_file(images) as temporary, temporary.open("wb") as file:
        np.savez(file, **found)
    spec = load_source_spec(own.source_path(SOURCE))
    described = {"kind": "npz", "path": f"../{images.name}", "licence": spec.licence, "class_names": spec.class_names}
    write_json(path, described)  # JSON is YAML
