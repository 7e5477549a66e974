"""The workspace in which a study makes its datasets: images put aside once, and a recipe for each setting and seed.

Only the source's training images are opened. Some of each class become the study's validation split and its evaluation
split, which takes the place of the test split; settings take theirs from the rest. The workspace has no repository, so
none of its outputs is versioned.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ops.errors import UserError
from ops.files.hashing import hash_json
from ops.files.storage import replace_file, write_json, write_text
from ops.recipe.loading import explain
from ops.sources.reading import hash_source, read_training
from ops.sources.spec import SourceSpec
from ops.study.design import Images
from ops.workspaces.workspace import Workspace

SOURCE = "images"  # the name of the study's source


def describe_source(images: Images, workspace: Workspace, place: str) -> SourceSpec:
    """The source of a study; a relative path starts at the workspace. UserError for a mistake in it."""
    try:
        spec = SourceSpec.model_validate({**images.source, "name": SOURCE})
    except ValidationError as error:
        raise UserError(explain(error, f"{place}, images.source", SourceSpec)) from None
    return spec.model_copy(update={"path": str(workspace.root / spec.path)})


def put_aside(labels: np.ndarray, ids: np.ndarray, sizes: dict[str, int], seed: int) -> dict[str, np.ndarray]:
    """Rows of train and of the splits of `sizes`, images of each class; a picture that is there twice is used once.

    labels: int [n]. ids: content id of each image [n]. UserError where a class has too few images.
    """
    _, first = np.unique(ids, return_index=True)
    rows: dict[str, list[np.ndarray]] = {split: [] for split in (*sizes, "train")}
    ends = np.cumsum(list(sizes.values()))
    for label in np.unique(labels):
        members = np.sort(first[labels[first] == label])
        if len(members) <= ends[-1]:
            raise UserError(
                f"a class of the study's source has {len(members)} different images; the study puts {ends[-1]} aside"
            )
        drawn = np.random.default_rng([seed, int(label)]).permutation(members)
        for split, part in zip(rows, np.split(drawn, ends), strict=True):
            rows[split].append(part)
    return {split: np.sort(np.concatenate(parts)) for split, parts in rows.items()}


def open_workspace(root: Path, main: Workspace, images: Images, place: str) -> Workspace:
    """The study's workspace in `root`, made where it is missing or was made of other images.

    main: the workspace of the study, whose versions of the stages hold here, too.
    """
    spec = describe_source(images, main, place)
    content = hash_json([hash_source(spec), images.model_dump(mode="json", exclude={"source"})])
    own = Workspace(root / content[:16])
    arrays = own.root / "images.npz"
    if not arrays.exists():
        train = read_training(spec)
        ids = np.array([name.partition("-")[0] for name in train.rows["image_id"]])
        rows = put_aside(train.labels, ids, {"test": images.evaluation, "val": images.validation}, images.seed)
        found = {f"{split}_images": train.images[each] for split, each in rows.items()}
        found |= {f"{split}_labels": train.labels[each] for split, each in rows.items()}
        described = {"kind": "npz", "path": "../images.npz", "licence": spec.licence, "class_names": train.class_names}
        write_json(own.source_path(SOURCE), described)  # JSON is YAML
        with replace_file(arrays) as temporary, temporary.open("wb") as file:
            np.savez(file, **found)
    versions = "".join(f"  {stage}: {main.stage_version(stage)}\n" for stage in main.params["stage_versions"])
    write_text(own.root / "params.yaml", f"expansions: []\n\nstage_versions:\n{versions}\nsource_versions: {{}}\n")
    (own.root / "recipes").mkdir(exist_ok=True)
    return own
