"""A workspace with two classes of scikit-learn's digits, and studies of it that train in a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ops.recipe.schema import Recipe
from ops.study.design import ClassifierPart, Study, build_recipe, load_study
from ops.workspaces.workspace import Workspace
from tests.workspaces import NAMES, RECIPE, ROOT, digit_splits, write_params

Content = dict[str, Any]
NO_FILTER = {f"filter.{rule}": None for rule in ("wrong_label", "near_copy", "near_repeat", "blank", "saturated")}
CONTENT: Content = {
    "question": "Which arm is better?",
    "parts": {
        "small": {
            "kind": "classifiers",
            "images": {"source": "digits", "evaluation": 8, "validation": 6},
            "recipe": "digits",
            "set": {"classifier.grid.learning_rate": [0.02], **NO_FILTER},
            "settings": {"6": {"data.images_per_class": 6}, "12": {"data.images_per_class": 12}},
            "steps": [4],
            "seeds": [0, 1],
            "baselines": {
                "plain": {"augmentation": "flip_crop"},
                "taught": {"augmentation": "flip_crop", "targets": {"kind": "teacher", "of": "plain"}},
            },
            "expanded": {},
            "networks": {"plain": 2},
            "ensembles": {"ensemble": "plain"},
            "measures": ["accuracy", "calibration_error"],
            "quick": {"settings": ["6"], "steps": 2},
        }
    },
}


def make_workspace(root: Path) -> Workspace:
    """The workspace; its source has the splits train and test."""
    for folder in ("recipes", "sources", "studies"):
        (root / folder).mkdir(parents=True)
    splits = digit_splits()
    parts = {f"{split}_images": splits[split].images for split in ("train", "test")}
    parts |= {f"{split}_labels": splits[split].labels for split in ("train", "test")}
    np.savez(root / "digits.npz", **parts)
    description = {"kind": "npz", "path": "../digits.npz", "licence": "BSD-3-Clause", "class_names": NAMES}
    (root / "sources" / "digits.yaml").write_text(json.dumps(description))
    (root / "recipes" / "digits.yaml").write_text(RECIPE)
    write_params(root)
    return Workspace(root)


def write_study(main: Workspace, content: Content) -> Study:
    """Write studies/digits/grid.yaml in a workspace and load it."""
    path = main.root / "studies" / "digits" / "grid.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))  # JSON is YAML
    return load_study(main, "digits")


def find_part(study: Study, name: str) -> ClassifierPart:
    """A part of a study that trains classifiers."""
    part = study.design.parts[name]
    assert isinstance(part, ClassifierPart)
    return part


def build(study: Study, part: str, setting: str) -> Recipe:
    """The recipe of a setting of one of this repository's studies."""
    return build_recipe(Workspace(ROOT), find_part(study, part), setting, "here")
