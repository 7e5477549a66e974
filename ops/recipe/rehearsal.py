"""A recipe turned into a rehearsal of itself: every stage does real work, on few images and in few steps.

Kinds, arms and stages stay, so that what would fail in the real run fails here. Sizes, steps and seeds shrink, and
rules that would reject what a generator draws after so few steps are off. A rehearsal decides nothing and says so.
The changes are those that `--set` would make. The module knows no files.
"""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

from ops.recipe.adversarial import AdversarialSettings
from ops.recipe.arms import ResNet18, SmallResNet
from ops.recipe.dcgan import DcganSettings
from ops.recipe.denoisers import AnyFlowSettings, DenoiserSettings
from ops.recipe.diffusion import PipelineSettings, StableDiffusionSettings
from ops.recipe.generator import OnnxSettings
from ops.recipe.geometry import LEAST, GeometrySettings
from ops.recipe.imagination import ASKS
from ops.recipe.ingredients.contrastive import ContrastiveTrainer
from ops.recipe.ingredients.variants import GitVariants
from ops.recipe.instance import InstanceSettings
from ops.recipe.latent import LatentSettings
from ops.recipe.mae import MaeSettings
from ops.recipe.munit import MunitSettings
from ops.recipe.schema import Recipe

CLASSES, PER_CLASS = 10, 40  # most classes, and images of each, that a rehearsal takes from the training images
SHARE = 0.25  # of these images for validation, and as many for test: no test image of the source is opened
TRAINED = 24  # optimizer steps of a classifier and of the generator
SEARCHED = 3  # of a training of the search
BATCH = 16
LEAST_RATIO = 0.5  # of an arm with one of its own: of few images a smaller one would be none
WIDTHS = {"small_resnet": 8, "resnet18": 4}  # of networks that are slow: resnet18 keeps the full resolution longest

# Of a generator that is trained here, and of a prior.
SHORT: dict[str, Any] = {
    "seeds": 1,
    "steps": TRAINED,
    "batch_size": BATCH,
    "warmup_steps": 4,
    "ema_decay": 0.8,
    "checkpoints": 1,
    "max_copies": 1.0,
}

AUTOENCODER: dict[str, Any] = {
    "autoencoder.steps": TRAINED,
    "autoencoder.batch_size": BATCH,
    "autoencoder.width": 8,
    "autoencoder.blocks": 1,
    "autoencoder.warmup_steps": 4,
    "autoencoder.ema_decay": 0.8,
}

TRANSFORMER: dict[str, Any] = {"width": 16, "layers": 1, "heads": 2}  # a half of a masked autoencoder

ENCODER: dict[str, Any] = {
    "encoder.features": 4,
    "encoder.width": 8,
    "encoder.steps": TRAINED,
    "encoder.batch_size": BATCH,
    "encoder.warmup_steps": 4,
    "encoder.ema_decay": 0.8,
}


def name_pool(source: str) -> str:
    """The pool beside the source of a rehearsal."""
    return f"{source}-pool"


def shrink(recipe: Recipe, source: str, root: Path) -> dict[str, Any]:
    """The changes by dotted key, for a source that holds the images of the rehearsal already, and its pool likewise.

    root: the workspace, where a generator of kind onnx or a pipeline lies.
    """
    classifier, generator = recipe.classifier, recipe.generator
    changes: dict[str, Any] = {
        "source": source,
        # Applied when the images were taken.
        "data": {} if recipe.data.unlabelled is None else {"unlabelled": name_pool(source)},
        "plan.ratio": min(1.0, recipe.plan.ratio),
        "plan.overdraw": 1.3,
        "plan.budget": 4.0,
        "plan.rounds": 2,
        "scorer.folds": 2,
        "scorer.steps": TRAINED,
        "scorer.batch_size": BATCH,
        "scorer.width": min(16, recipe.scorer.width),
        "sampler.usable_from": None,
        "filter.wrong_label": None,
        "filter.atypical": None,
        **dict.fromkeys(("filter.clip", "filter.safety", "filter.extractor"), None),
        "classifier.steps": TRAINED,
        "classifier.batch_size": BATCH,
        "classifier.seeds": 2,
        "classifier.grid": {key: [getattr(classifier.grid, key)[0]] for key in ("learning_rate", "weight_decay")},
        "verdict": {
            **{key: getattr(recipe.verdict, key) for key in ("metric", "confidence")},
            **({"curve_seeds": 1} if recipe.verdict.curve_seeds else {}),
            "rehearsal": True,
        },
        "report.examples_per_class": min(4, recipe.report.examples_per_class),
        **({} if recipe.report.worth is None else {"report.worth": {"shares": [0.25, 0.5], "seeds": 2}}),
        "publish.commit": False,
        "automation": None,
    }
    network = classifier.network
    if isinstance(network, SmallResNet | ResNet18):
        changes["classifier.network.width"] = min(WIDTHS[network.kind], network.width)
    if recipe.tuning.policy:
        changes |= {"tuning.steps": SEARCHED, "tuning.most_steps": None, "tuning.folds": 2}
    for side in ("baselines", "expanded"):
        for name, arm in getattr(recipe, side).items():
            if isinstance(arm.variants, GitVariants):  # few images leave no class below K, and few places in a batch
                share = max(arm.variants.share, 1 / BATCH)
                of = f"{side}.{name}.variants"
                changes |= {f"{of}.policy": "hard", f"{of}.below": None, f"{of}.share": share}
            if arm.ratio is not None:
                changes[f"{side}.{name}.ratio"] = min(max(LEAST_RATIO, arm.ratio), changes["plan.ratio"])
            for key in sorted({"epochs", "steps"} & set(type(arm.trainer).model_fields)):
                changes[f"{side}.{name}.trainer.{key}"] = TRAINED
            if isinstance(arm.trainer, ContrastiveTrainer):
                changes[f"{side}.{name}.trainer.batch_size"] = min(BATCH, arm.trainer.batch_size)
    if "image" in generator.list_inputs(recipe.sampler):
        # A strength is chosen by how much is kept; then any share will do.
        changes |= {"sampler.moves": None, "sampler.keeps": 0.0 if recipe.sampler.strength == "auto" else None}
    if (imagination := recipe.sampler.imagination) is not None:
        if imagination.mode in ASKS:
            changes["sampler.imagination.force"] = True  # such a scorer is near chance
        if (model := getattr(imagination.scorer, "model", None)) and (root / model).is_dir():
            changes["sampler.imagination.scorer.model"] = str(root / model)
        if imagination.steps is not None:
            changes["sampler.imagination.steps"] = min(2, imagination.steps)
    if isinstance(generator, OnnxSettings):
        changes["generator.path"] = str(root / generator.path)
    if isinstance(generator, GeometrySettings):
        changes["generator.least"] = LEAST
    if isinstance(generator, PipelineSettings):
        changes |= _shrink_pipeline(recipe, generator, root)
    if isinstance(generator, DenoiserSettings):
        changes |= _within("generator", _shrink_denoiser(generator)) | _shrink_sampler(recipe, generator)
    if isinstance(generator, MunitSettings):
        changes |= _within("generator", SHORT | {"blocks": 1, "width": min(16, generator.width)})
    if isinstance(generator, AdversarialSettings):
        width = min(16, generator.width or 16) if isinstance(generator, DcganSettings) else 8
        changes |= _within("generator", SHORT | {"width": width})
    if isinstance(recipe.prior, DenoiserSettings):
        idle = recipe.prior.class_keys or frozenset()
        small = {key: value for key, value in _shrink_denoiser(recipe.prior).items() if key not in idle}
        changes |= _within("prior", small | {"pool": name_pool(source)})
        changes |= {} if generator.labels_pool else _shrink_sampler(recipe, recipe.prior)
    if isinstance(recipe.prior, MaeSettings):
        small = _shrink_mae(recipe.prior, root) | {"pool": name_pool(source)}
        changes |= _within("prior", small) | {"sampler.precision": "fp32"}
    return changes


def _within(section: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes of a section's keys as changes of the recipe."""
    return {f"{section}.{key}": value for key, value in changes.items()}


def _shrink_denoiser(generator: DenoiserSettings) -> dict[str, Any]:
    changes = SHORT | {
        "widths": [min(width, 16 * (level + 1)) for level, width in enumerate(generator.widths)],
        "layers_per_block": 1,
    }
    if isinstance(generator, LatentSettings):
        changes |= AUTOENCODER
    if isinstance(generator, InstanceSettings):
        changes |= ENCODER
    if isinstance(generator, AnyFlowSettings) and generator.distillation is not None:
        student = {"evaluations": generator.distillation.evaluations, "steps": TRAINED, "batch_size": BATCH}
        return changes | {"distillation": student | {"pairs": 64, "warmup_steps": 4, "ema_decay": 0.8}}
    return changes


def _shrink_mae(prior: MaeSettings, root: Path) -> dict[str, Any]:
    """Weights from elsewhere stay as they are."""
    if prior.weights is not None:
        there = (root / prior.weights.model).is_dir()
        return {"weights.model": str(root / prior.weights.model)} if there else {}
    idle = prior.class_keys or frozenset()
    halves = {f"{half}.{key}": value for half in ("encoder", "decoder") for key, value in TRANSFORMER.items()}
    return {key: value for key, value in SHORT.items() if key not in idle} | halves


def _shrink_pipeline(recipe: Recipe, generator: PipelineSettings, root: Path) -> dict[str, Any]:
    """Of a pipeline, which stays as large as it is: the least steps that its strength leaves."""
    strength = recipe.sampler.strength
    least = 2 if strength is None else max(2, ceil(1 / float(strength)))
    changes: dict[str, Any] = {"sampler.steps": min(least, recipe.sampler.steps or least)}
    if (root / generator.model).is_dir():
        changes["generator.model"] = str(root / generator.model)
    if isinstance(generator, StableDiffusionSettings) and generator.lora is not None:
        changes |= {"generator.seeds": 1, "generator.lora.steps": 2, "generator.lora.batch_size": 1}
        if generator.lora.preservation is not None:
            changes["generator.lora.preservation.images"] = 1
    return changes


def _shrink_sampler(recipe: Recipe, drawing: DenoiserSettings) -> dict[str, Any]:
    """Of the generator or prior that draws; a distilled one needs the steps that it was trained for."""
    changes: dict[str, Any] = {"sampler.precision": "fp32"}
    if isinstance(drawing, AnyFlowSettings) and drawing.distillation is not None:
        return changes
    return changes | {"sampler.steps": min(2, recipe.sampler.steps or 2)}
