"""Workspaces with a pool: the digits two to nine without labels beside labelled zeros and ones, and a recipe that makes
variants of these with a prior."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from ruamel.yaml import YAML
from sklearn.datasets import load_digits

from tests.workspaces import NAMES, make_workspace

POOL = "others"
IMAGES = 120
PRIOR = {
    "kind": "flow", "pool": POOL, "widths": [8, 16], "steps": 40, "batch_size": 16, "learning_rate": 0.02,
    "warmup_steps": 5, "ema_decay": 0.9, "checkpoints": 2,
}  # fmt: skip
RECIPE = {
    "plan": {"ratio": 1.0, "overdraw": 2.0, "rounds": 1},
    "prior": PRIOR,
    "generator": {"kind": "prior"},
    "sampler": {"usable_from": None, "steps": 1, "solver": "euler", "strength": "auto", "moves": None, "keeps": 0.0},
    "filter": dict.fromkeys(("wrong_label", "near_copy", "near_repeat", "atypical", "blank")),
}


def pool_images() -> np.ndarray:
    """uint8 [IMAGES, 16, 16, 1], none of them a zero or a one."""
    digits = load_digits()
    chosen = np.flatnonzero(digits.target >= len(NAMES))[:IMAGES]
    images = np.kron(digits.images[chosen], np.ones((2, 2))) * (255 / 16)
    return images.round().astype(np.uint8)[..., None]


def write_pool(root: Path, images: np.ndarray, name: str = POOL) -> None:
    """A pool of PNG files that lie directly in a folder: uint8 [n, H, W, 1 or 3]."""
    folder = root / name
    folder.mkdir(exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(folder / f"{i:04d}.png")
    (root / "sources" / f"{name}.yaml").write_text(f"kind: folder\npath: ../{name}\nlicence: CC0-1.0\n")


def change_recipe(root: Path, name: str, **sections: object) -> None:
    """Replace sections of a recipe."""
    path, yaml = root / "recipes" / f"{name}.yaml", YAML(typ="safe")
    content = yaml.load(path.read_text()) | sections
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(content, file)


def make_prior_workspace(root: Path, expansions: tuple[str, ...] = ("digits",)) -> Path:
    """A workspace of `make_workspace` whose expansions have a prior."""
    make_workspace(root, expansions)
    write_pool(root, pool_images())
    for name in expansions:
        change_recipe(root, name, **RECIPE)
    return root
