"""A rehearsal of any recipe is a valid recipe of the same kinds, and small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ops.recipe.changes import Changes, change_content, change_recipe, keep_effective, write_changes
from ops.recipe.loading import load_recipe
from ops.recipe.rehearsal import TRAINED, shrink
from ops.settings.reading import read_yaml
from tests.workspaces import ROOT

VARIANTS: dict[str, Changes] = {
    "demo": {},
    "several generators": {"generator.seeds": 3, "classifier.seeds": 6, "verdict.looks": 2},
    "searched": {
        "tuning.policy": True,
        "tuning.most_steps": 4000,
        "scorer.augmentation": "auto",
    },
    "gridded": {"classifier.grid": {"learning_rate": [0.02, 0.04], "weight_decay": [0.1], "steps": [400, 800]}},
    "distilled": {"generator.distillation": {"evaluations": 4, "teacher_steps": 8}, "sampler.solver": None},
    "edm": {"generator": {"kind": "edm", "widths": [32, 64, 128, 256]}, "sampler": {"solver": "heun", "steps": 18}},
    "ddpm": {"generator": {"kind": "ddpm"}, "sampler": {"solver": "ddim", "steps": 50}},
    "geometry": {"generator": {"kind": "geometry", "images": 100}, "sampler": {}},
    "latent": {"generator": {"kind": "latent", "autoencoder": {"halvings": 3}}, "sampler": {"strength": 0.5}},
    "latent as it is": {"generator": {"kind": "latent"}, "sampler": {}},
    "munit": {"generator": {"kind": "munit", "width": 64}, "sampler": {"strength": 0.5}},
    "dcgan": {"generator": {"kind": "dcgan", "batch_size": 64}, "sampler": {}},
    "narrow dcgan": {"generator": {"kind": "dcgan", "width": 8}, "sampler": {}},
    "stylegan2": {"generator": {"kind": "stylegan2", "width": 32}, "sampler": {"truncation": 0.7}},
    "onnx": {"generator": {"kind": "onnx", "path": "samplers/s.onnx", "sha256": "0" * 64}, "sampler": {}},
    "stable diffusion": {
        "generator": {
            "kind": "stable-diffusion",
            "mode": "image",
            "model": "models/sd",
            "licence": "as is",
            "lora": {"preservation": {"templates": ["a {class}"]}},
        },
        "sampler": {"strength": 0.2},
    },
    "unclip": {"generator": {"kind": "unclip", "model": "models/unclip", "licence": "as is"}, "sampler": {}},
    "resnet": {"classifier.network": {"kind": "resnet18"}},
    "prior": {
        "prior": {"pool": "others", "widths": [64, 64], "augment": 0.2},
        "generator": {"kind": "prior"},
        "sampler": {"strength": "auto"},
    },
    "latent prior": {
        "prior": {"kind": "latent", "pool": "others"},
        "generator": {"kind": "prior"},
        "sampler": {"strength": 0.4},
    },
    "instance prior": {
        "prior": {"kind": "instance", "pool": "others", "augment": 0.2},
        "generator": {"kind": "prior"},
        "sampler": {"strength": "auto"},
    },
    "mae prior": {
        "prior": {"kind": "mae", "pool": "others"},
        "generator": {"kind": "prior"},
        "sampler": {"strength": "auto"},
    },
    "mae prior from elsewhere": {
        "prior": {"kind": "mae", "pool": "others", "weights": {"model": "models/mae", "licence": "as is"}},
        "generator": {"kind": "prior"},
        "sampler": {"strength": 0.4},
    },
    "labelled pool": {
        "prior": {"pool": "others", "widths": [64, 64]},
        "generator": {"kind": "flow", "pseudo_labels": {}, "distillation": {"evaluations": 2}},
        "sampler": {},
    },
    "mlp": {"classifier.network": {"kind": "mlp"}},
    "ratios": {"expanded.expanded": {"ratio": 5.0}, "expanded.expanded+augmented": {"ratio": 0.5}},
    "long-tailed": {"data.long_tail": {"ratio": 50}, "data.label_noise": 0.1, "publish.commit": True},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_any_recipe_becomes_a_small_valid_one_of_the_same_kinds(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.yaml"
    content = read_yaml(ROOT / "recipes" / "fashion-flow.yaml")
    if name == "distilled":
        content["sampler"] = {}
    changes = {key: value for key, value in VARIANTS[name].items() if value is not None}
    path.write_text(json.dumps(change_content(content, changes, path)[0]))  # JSON is YAML
    before = load_recipe(path)
    after, lines = change_recipe(path, keep_effective(path, shrink(before, "small", tmp_path)))
    assert (after.source, after.generator.kind) == ("small", before.generator.kind)
    assert list(after.baselines) == list(before.baselines) and list(after.expanded) == list(before.expanded)
    assert (after.classifier.network.kind, after.tuning.policy) == (
        before.classifier.network.kind,
        before.tuning.policy,
    )
    assert (after.classifier.steps, after.classifier.seeds, after.generator.seeds) == (TRAINED, 2, 1)
    assert after.automation is None
    assert after.verdict.rehearsal and not after.publish.commit and after.data == type(after.data)()
    assert not [line for line in lines if line.partition(": ")[2].partition(" -> ")[0] == line.partition(" -> ")[2]]
    if name == "prior":
        assert after.prior is not None
        assert (after.prior.pool, after.prior.steps, after.prior.widths) == ("small-pool", TRAINED, (16, 32))  # type: ignore[attr-defined]
    if name in ("dcgan", "narrow dcgan"):
        assert after.generator.width == (16 if name == "dcgan" else 8)  # type: ignore[attr-defined]
    if name == "ratios":
        assert [arm.ratio for arm in after.expanded.values()][:2] == [1.0, 0.5]
    if name == "onnx":
        assert after.generator.path == str(tmp_path / "samplers/s.onnx")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml")))
def test_each_shipped_recipe_becomes_a_small_valid_one_whatever_it_leaves_out(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes((ROOT / "recipes" / f"{name}.yaml").read_bytes())
    before = load_recipe(path)
    after, _ = change_recipe(path, keep_effective(path, shrink(before, "small", tmp_path)))
    assert (after.verdict.rehearsal, after.classifier.network.kind) == (True, before.classifier.network.kind)
    widths = [recipe.classifier.network.model_dump()["width"] for recipe in (after, before)]
    assert widths[0] <= widths[1]


def test_a_rehearsal_of_a_rehearsal_changes_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes((ROOT / "recipes" / "smoke.yaml").read_bytes())
    write_changes(path, shrink(load_recipe(path), "small", tmp_path))
    assert keep_effective(path, shrink(load_recipe(path), "small", tmp_path)) == {}
