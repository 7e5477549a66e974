"""How each stage appears in the UI: a description that is true for the recipe's kinds, the tools it uses, its pictures.

It knows recipes, but no output: what was made is told by the materialization's metadata.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ops.files.outputs import CONTACT_SHEET, REJECTED_SHEET, SAMPLES
from ops.recipe.counterparts import list_teachers
from ops.recipe.denoisers import AnyFlowSettings
from ops.recipe.filtering import FilterSettings
from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe


@dataclass(frozen=True)
class Look:
    """`kinds` are badges. `pictures` are globs of PNG files in the output. `report`: it links to the report."""

    description: str
    kinds: frozenset[str]
    pictures: tuple[str, ...] = ()
    report: bool = False


LOOKS: dict[str, Look] = {
    "real_images": Look(
        "The source's labelled images: train, validation and test as Parquet.",
        frozenset({"parquet"}),
        (CONTACT_SHEET,),
    ),
    "expansion_plan": Look("How many images each class gets.", frozenset({"json"})),
    "training_policy": Look("How every classifier is trained.", frozenset({"pytorch", "json"})),
    "scorer": Look("Cross-fitted classifiers on real images; they judge generated ones.", frozenset({"pytorch"})),
    "prior": Look(
        "A generator that learns from images without labels.", frozenset({"pytorch"}), (SAMPLES.format(step="*"),)
    ),
    "generator": Look("What draws new images.", frozenset({"pytorch"}), (SAMPLES.format(step="*"),)),
    "generator_onnx": Look(
        "The generator as a directory that plain ONNX Runtime runs; parity with the eager sampler is checked.",
        frozenset({"onnx"}),
    ),
    "generated_images": Look(
        "All drawn images, byte for byte the same however the work was split.",
        frozenset({"onnx", "parquet"}),
        (CONTACT_SHEET,),
    ),
    "accepted_images": Look(
        "Which generated images are kept, and why each other one is rejected.",
        frozenset({"polars", "parquet"}),
        (CONTACT_SHEET, REJECTED_SHEET),
    ),
    "mixed_dataset": Look("Real and accepted images with their weights.", frozenset({"polars", "parquet"})),
    "baseline_classifiers": Look(
        "The arms without generated images: equal steps, paired seeds, settings chosen on validation.",
        frozenset({"pytorch"}),
    ),
    "teachers": Look("Networks of baseline arms that label images for other arms.", frozenset({"pytorch"})),
    "expanded_classifiers": Look(
        "The arms on the mixed dataset, trained under the same rules.", frozenset({"pytorch"})
    ),
    "label_curve": Look(
        "Accuracy of the picked baseline against the number of its labels.", frozenset({"pytorch", "json"})
    ),
    "folds": Look("The whole chain on folds of all images.", frozenset({"pytorch", "parquet"})),
    "verdict": Look(
        "Helps, no evidence or hurts: closed-form intervals over test images and seeds.",
        frozenset({"numpy"}),
        report=True,
    ),
    "report": Look("One HTML page, verdict first.", frozenset({"html"}), report=True),
}

TRAINED = {  # by kind of generator, as in docs/generators.md
    "flow": "a rectified flow",
    "edm": "a diffusion model with EDM's preconditioning",
    "ddpm": "a diffusion model as in DDPM",
    "latent": "an autoencoder with a flow among its latents",
    "instance": "an encoder of images to features, and a flow that is told them",
    "mae": "a masked autoencoder",
    "munit": "a transform of images as in MUNIT",
    "dcgan": "a maker of images against a critic, as in DCGAN",
    "stylegan2": "a maker of images against a critic, as in StyleGAN2",
}
GROWTH = {"keep": "every class grows by this ratio", "equalise": "all classes end equally large"}
CHOSEN = {"all": "", "hard": " Variants are made of the third of each class that the scorer learns worst."}
DRAWN_AFRESH = "New images in the source train it anew."
KEPT = "New images in the source do not train it anew."


def describe(stage: str, recipe: Recipe | None) -> Look:
    """The look of a stage with this recipe; what holds for every recipe if it is None."""
    look = LOOKS[stage]
    if recipe is None or stage not in DETAILS:
        return look
    return DETAILS[stage](look, recipe)


def _describe_source(look: Look, recipe: Recipe) -> Look:
    most = recipe.data.images_per_class
    cap = "" if most is None else f" At most {most} images a class are used for training, and as many for validation."
    labelled = f"The labelled images of source `{recipe.source}` as Parquet: train, validation and test."
    name = recipe.data.unlabelled
    others = "" if name is None else f" Beside them all images of `{name}` without labels, which are expanded."
    return replace(look, description=f"{labelled}{cap}{others}")


def _describe_plan(look: Look, recipe: Recipe) -> Look:
    plan = recipe.plan
    return replace(
        look,
        description=f"How many images each class gets: {plan.ratio:g} are added per real image, and"
        f" {GROWTH[plan.balance]}.{CHOSEN[plan.seeds]}",
    )


def _describe_policy(look: Look, recipe: Recipe) -> Look:
    if recipe.tuning.policy:
        return replace(
            look,
            description="Augmentation, input, network and length of every classifier's training, chosen on validation.",
        )
    return replace(
        look,
        description="Nothing is chosen here: classifiers are trained as the recipe says (`tuning.policy` is off).",
        kinds=frozenset({"json"}),
    )


def _describe_scorer(look: Look, recipe: Recipe) -> Look:
    if recipe.data.unlabelled is not None:
        told = "Networks of random weights, in whose features images are compared: without labels nothing is learnt."
        return replace(look, description=told)
    return replace(
        look,
        description=f"{recipe.scorer.folds} classifiers, each trained without its part of the real training images;"
        " together they judge generated images.",
    )


def _describe_prior(look: Look, recipe: Recipe) -> Look:
    prior = recipe.prior
    if not isinstance(prior, PoolSettings):
        return replace(look, description="Empty: the recipe has no prior.", kinds=frozenset({"json"}))
    name = TRAINED[prior.kind]
    if getattr(prior, "weights", None) is not None:
        return replace(
            look,
            description=f"{name[0].upper()}{name[1:]} with weights from elsewhere, whose latents are scaled by images"
            f" of the pool `{prior.pool}`, without their labels. No validation or test image may be among these.",
        )
    return replace(
        look,
        description=f"{name[0].upper()}{name[1:]}, trained on all training images of the pool `{prior.pool}`, without"
        " their labels. No validation or test image may be among them. Expansions with other labelled images of the"
        " same size share it.",
    )


def _describe_generator(look: Look, recipe: Recipe) -> Look:
    settings, again = recipe.generator, KEPT if recipe.on_new_images == "keep_generator" else DRAWN_AFRESH
    if settings.kind == "geometry":
        return replace(
            look,
            description="How widely images may be turned, scaled, shifted and mirrored: the widest moves that cannot be"
            f" told from the real training images. {again}",
            kinds=frozenset({"json"}),
        )
    if settings.kind == "prior":
        return replace(
            look,
            description="The prior, which makes variants of the real training images; nothing is trained here.",
        )
    if settings.kind not in TRAINED:
        return replace(
            look,
            description="A sampler that was exported elsewhere; nothing is trained here.",
            kinds=frozenset({"onnx"}),
        )
    name = TRAINED[settings.kind]
    many = f"{settings.seeds} generators, each {name}," if settings.seeds > 1 else f"{name[0].upper()}{name[1:]},"
    distilled = isinstance(settings, AnyFlowSettings) and settings.distillation is not None
    student = " A distilled student that needs fewer evaluations replaces it." if distilled else ""
    more = " and on images of the prior's pool that a probe labelled" if settings.labels_pool else ""
    return replace(look, description=f"{many} trained on the real training images{more}.{student} {again}")


def _describe_export(look: Look, recipe: Recipe) -> Look:
    if recipe.generator.kind != "onnx":
        return look
    return replace(look, description="The sampler that was brought in, as a directory that plain ONNX Runtime runs.")


def _describe_filters(look: Look, recipe: Recipe) -> Look:
    rules = [name for name in FilterSettings.model_fields if getattr(recipe.filter, name) is not None]
    rules = [name.replace("_", " ") for name in rules if name != "extractor"]
    return replace(
        look,
        description="Which generated images are kept, and why each other one is rejected. Rules: exact copy, exact"
        f" repeat{''.join(f', {rule}' for rule in rules)}.",
    )


def _describe_mixture(look: Look, recipe: Recipe) -> Look:
    return replace(
        look,
        description=f"Real and accepted images with their weights: a real image weighs {recipe.mix.real_weight:g} times"
        " as much as a generated one (AdaInf's N).",
    )


def _describe_baselines(look: Look, recipe: Recipe) -> Look:
    return replace(look, description=f"{look.description} Arms: {', '.join(recipe.baselines)}.")


def _describe_expanded(look: Look, recipe: Recipe) -> Look:
    return replace(look, description=f"{look.description} Arms: {', '.join(recipe.expanded)}.")


def _describe_teachers(look: Look, recipe: Recipe) -> Look:
    arms = list_teachers(recipe.expanded)
    if not arms:
        return replace(look, description="Empty: no arm of the recipe has a teacher.", kinds=frozenset({"json"}))
    return replace(look, description=f"Networks of baseline arms that label images for other arms: {', '.join(arms)}.")


def _describe_label_curve(look: Look, recipe: Recipe) -> Look:
    if recipe.report.worth is None:
        return replace(
            look,
            description="Empty: the recipe does not ask what gains are worth in labels (`report.worth`).",
            kinds=frozenset({"json"}),
        )
    shares = ", ".join(f"{100 * share:g} %" for share in recipe.report.worth.shares)
    return replace(look, description=f"{look.description} Trained with {shares} of them, and with all.")


def _describe_folds(look: Look, recipe: Recipe) -> Look:
    if recipe.verdict.folds is None:
        return replace(
            look, description="Empty: the recipe asks for no folds (`verdict.folds`).", kinds=frozenset({"json"})
        )
    return replace(
        look,
        description=f"The whole chain on each of {recipe.verdict.folds} folds of all images, and its answers to the"
        " fold's test images.",
    )


def _describe_verdict(look: Look, recipe: Recipe) -> Look:
    over = "test images and seeds" if recipe.verdict.folds is None else "the test images of all folds, and seeds"
    return replace(
        look,
        description=f"Helps, no evidence or hurts: closed-form {100 * recipe.verdict.confidence:g} % intervals over"
        f" {over}.",
    )


DETAILS: dict[str, Callable[[Look, Recipe], Look]] = {
    "real_images": _describe_source,
    "expansion_plan": _describe_plan,
    "training_policy": _describe_policy,
    "scorer": _describe_scorer,
    "prior": _describe_prior,
    "generator": _describe_generator,
    "generator_onnx": _describe_export,
    "accepted_images": _describe_filters,
    "mixed_dataset": _describe_mixture,
    "baseline_classifiers": _describe_baselines,
    "teachers": _describe_teachers,
    "expanded_classifiers": _describe_expanded,
    "label_curve": _describe_label_curve,
    "folds": _describe_folds,
    "verdict": _describe_verdict,
}
