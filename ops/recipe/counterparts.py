"""Which arm shows what generated images add to an arm that learns from more than labels.

Teachers, consistency and contrastive training improve a network without any generated image. An arm of `expanded` that
uses them therefore needs a counterpart under `baselines`: the same ingredients on real images. The difference between
the two is the generator's share. The module knows settings alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ops.recipe.arms import AUTO, ONLY_EXPANDED, Arm
from ops.recipe.contrastive_arms import is_contrastive
from ops.recipe.ingredients.balancing import Balancing
from ops.recipe.ingredients.guidance import EmaConsistency, TeacherTargets
from ops.recipe.ingredients.variants import GitVariants, NoVariants
from ops.recipe.strength import change_strength
from ops.recipe.variants import shows_generated
from ops.settings.section import Section

UNDOING = ("refitted", "feature_diffusion")  # trainers that fit the last layer anew, on labelled images alone


def simplify(arm: Arm) -> Arm:
    """The arm as it would be on real images: what only generated ones have is left out, what they get real ones get.

    Where the controller chooses what generated images weigh, it chooses the strength of real ones by as many tries.
    """
    plain, changes = Arm(), dict[str, Any]()
    if arm.real_weight == AUTO and arm.strength != AUTO:
        arm = Arm.model_validate(change_strength(arm.model_dump(), AUTO))
    for key in ONLY_EXPANDED:
        changes[key] = getattr(plain, key)
    if shows_generated(arm):
        assert isinstance(arm.variants, GitVariants)
        others = tuple(member for member in arm.variants.by if member != "generator")
        kept = {"by": others, "source": "stored"}
        changes["variants"] = arm.variants.model_copy(update=kept) if others else NoVariants()
    if isinstance(arm.targets, TeacherTargets):
        changes["targets"] = arm.targets.model_copy(update={"images": "real", "relabel": False})
        if arm.targets.weight == 1:  # then no label is left for a loss
            changes["loss"] = plain.loss
    if isinstance(arm.consistency, EmaConsistency):
        changes["consistency"] = arm.consistency.model_copy(update={"images": "real"})
    return arm.model_copy(update=changes)


def name_kind(
    name: str, baselines: Mapping[str, Arm], expanded: Mapping[str, Arm]
) -> Literal["baseline", "placebo", "expanded"]:
    """What an arm learns from: real images alone, others in the place of generated ones, or generated ones."""
    if name in baselines:
        return "baseline"
    return "expanded" if expanded[name].placebo.kind == "none" else "placebo"


def is_guided(arm: Arm) -> bool:
    """Whether it learns from more than labels."""
    return arm.targets.kind != "labels" or arm.consistency.kind != "none" or is_contrastive(arm)


def find_counterpart(arm: Arm, baselines: Mapping[str, Arm]) -> str | None:
    """The baseline that equals the arm but for generated images; None where there is none."""
    wanted = simplify(arm).spell_out()
    return next((name for name in sorted(baselines) if simplify(baselines[name]).spell_out() == wanted), None)


def pair_counterparts(
    baselines: Mapping[str, Arm], expanded: Mapping[str, Arm], aliases: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Pairs of an arm with generated images, and the same on real ones or with a placebo; trained arms, each once.

    aliases: arms that were not trained, and the arms that they equal.
    """
    pairs = []
    for name, arm in sorted(expanded.items()):
        if arm.placebo.kind != "none":
            continue
        others = [find_counterpart(arm, baselines)]
        others += [other for other, found in sorted(expanded.items()) if _is_placebo_of(arm, found)]
        pairs += [(aliases.get(name, name), aliases.get(other, other)) for other in others if other is not None]
    return list(dict.fromkeys(pairs))


def _is_placebo_of(arm: Arm, other: Arm) -> bool:
    """Whether `other` differs from the arm in its placebo alone."""
    alike = other.model_copy(update={"placebo": arm.placebo})
    return other.placebo.kind != "none" and arm.spell_out() == alike.spell_out()


def list_teachers(arms: Mapping[str, Arm]) -> list[str]:
    """The baseline arms whose networks teach some of `arms`."""
    return list(dict.fromkeys(arm.targets.of for arm in arms.values() if isinstance(arm.targets, TeacherTargets)))


def check_guidance(baselines: Mapping[str, Arm], expanded: Mapping[str, Arm]) -> None:
    """ValueError for a teacher that cannot teach, keys that exclude each other, and an arm without a counterpart."""
    for name, arm in {**baselines, **expanded}.items():
        _check_teacher(name, arm, baselines)
        _check_together(name, arm)
    for name, arm in baselines.items():
        for key in ("targets", "consistency"):
            if getattr(getattr(arm, key), "images", "real") == "generated":
                raise ValueError(f"{key}.images: generated has no effect in the baseline {name!r}; write real")
        if getattr(arm.targets, "relabel", False):
            raise ValueError(f"targets.relabel has no effect in the baseline {name!r}, which has no generated images")
        if getattr(arm.targets, "weight", 0.0) == 1 and arm.loss.kind != "plain":
            raise ValueError(f"loss has no effect in the baseline {name!r}, whose teachers give all labels; remove it")
    for name, arm in expanded.items():
        if AUTO in (arm.strength, arm.real_weight) and find_counterpart(arm, baselines) is None:
            raise ValueError(
                f"auto of the arm {name!r} needs the same arm under baselines, where as many strengths are tried on"
                f" real images alone: {name}-real: {_write_automatic(simplify(arm))}"
            )
        if is_guided(arm) and arm.placebo.kind == "none" and find_counterpart(arm, baselines) is None:
            raise ValueError(
                f"the arm {name!r} learns from more than labels, so baselines needs the same on real images, which"
                f" shows what the generated ones add: {name}-real: {_write(simplify(arm))}"
            )


def _check_teacher(name: str, arm: Arm, baselines: Mapping[str, Arm]) -> None:
    if not isinstance(arm.targets, TeacherTargets):
        return
    of = arm.targets.of
    if of not in baselines:
        raise ValueError(f"targets.of of the arm {name!r} is {of!r}; it must name an arm of baselines")
    if baselines[of].targets.kind != "labels":
        raise ValueError(
            f"targets.of of the arm {name!r} is {of!r}, which has a teacher itself; name one that has none"
        )


def _check_together(name: str, arm: Arm) -> None:
    """ValueError for ingredients of which one would undo or ignore another."""
    teacher = arm.targets if isinstance(arm.targets, TeacherTargets) else None
    term = arm.consistency if isinstance(arm.consistency, EmaConsistency) else None
    if teacher is not None and teacher.relabel and (teacher.images == "real" or teacher.weight < 1):
        raise ValueError(
            f"targets.relabel of the arm {name!r} would teach the labels that were rejected; it needs weight: 1.0 and"
            " images: all or generated"
        )
    if teacher is not None and teacher.weight == 1 and teacher.images == "all" and arm.loss.kind != "plain":
        raise ValueError(
            f"loss has no effect in the arm {name!r}, whose teachers give all labels; lower targets.weight or remove it"
        )
    blind = term is not None and term.images == "generated"  # then only real images have labels
    if teacher is not None and teacher.weight == 1 and teacher.images == "real" and blind and arm.loss.kind != "plain":
        raise ValueError(
            f"loss has no effect in the arm {name!r}, whose real images have their labels from teachers and whose"
            " generated ones have none; remove it"
        )
    if arm.trainer.kind in UNDOING:
        undone = ("targets", "consistency", "finish", "separate", "variants", "unlabelled")
        idle = [key for key in undone if getattr(arm, key) != getattr(Arm(), key)]
        if arm.trainer.kind == "feature_diffusion":
            idle += [key for key in ("loss", "sampler") if getattr(arm, key) != getattr(Arm(), key)]
        if idle:
            raise ValueError(
                f"trainer: {arm.trainer.kind} of the arm {name!r} would undo its {idle[0]}; remove one of them"
            )
    balances = [key for key in ("loss", "sampler") if isinstance(getattr(arm, key), Balancing)]
    balances += ["loss"] * (arm.loss.kind == "ldam")
    if arm.separate is not None and balances:
        raise ValueError(
            f"separate of the arm {name!r} keeps apart the images whose classes its {balances[0]} balances together;"
            " remove one of them"
        )
    if arm.separate is not None and arm.pairing.kind == "samplepairing":
        raise ValueError(
            f"samplepairing of the arm {name!r} joins the images that separate keeps apart; remove one of them"
        )
    if term is None:
        return
    if arm.separate is not None:
        raise ValueError(f"the arm {name!r} has both separate and consistency; remove one of them")
    if term.images == "generated" and (arm.finish or arm.real_weight is not None or arm.beta is not None):
        key = "finish" if arm.finish else "beta" if arm.real_weight is None else "real_weight"
        raise ValueError(f"{key} has no effect in the arm {name!r}, whose generated images have no labels")
    if term.images == "generated" and teacher is not None and teacher.images != "real":
        raise ValueError(
            f"targets of the arm {name!r} are for generated images, which its consistency learns from without labels;"
            " write targets.images: real"
        )


def _write_automatic(arm: Arm) -> str:
    """As `_write`, without what strength: auto stands for until it is chosen."""
    meant = Arm.model_validate({"trainer": arm.trainer, "strength": arm.strength})
    own = {key: getattr(Arm(), key) for key in ("augmentation", "pairing") if getattr(arm, key) == getattr(meant, key)}
    return _write(arm.model_copy(update=own))


def _write(section: Section) -> str:
    """As YAML on one line, without the keys that have their defaults."""
    parts = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if key == "kind" or value != field.default:
            shown = list(value) if isinstance(value, tuple) else value
            parts.append(f"{key}: {_write(value) if isinstance(value, Section) else shown}")
    return "{" + ", ".join(parts) + "}"
