"""Which arm shows what generated images add to an arm that learns from more than labels.

Teachers and consistency improve a network without any generated image. An arm of `expanded` that uses them therefore
needs a counterpart under `baselines`: the same ingredients on real images. The difference between the two is the
generator's share. The module knows settings alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ops.recipe.arms import ONLY_EXPANDED, Arm
from ops.recipe.ingredients.guidance import EmaConsistency, TeacherTargets
from ops.settings.section import Section


def simplify(arm: Arm) -> Arm:
    """The arm as it would be on real images: what only generated ones have is left out, what they get real ones get."""
    plain, changes = Arm(), {}
    for key in ONLY_EXPANDED:
        changes[key] = getattr(plain, key)
    if isinstance(arm.targets, TeacherTargets):
        changes["targets"] = arm.targets.model_copy(update={"images": "real", "relabel": False})
    if isinstance(arm.consistency, EmaConsistency):
        changes["consistency"] = arm.consistency.model_copy(update={"images": "real"})
    return arm.model_copy(update=changes)


def name_kind(name: str, baselines: Mapping[str, Arm], expanded: Mapping[str, Arm]) -> Literal["baseline", "expanded"]:
    """`expanded` if the arm learns from generated images; a placebo does not."""
    return "expanded" if name not in baselines and expanded[name].placebo.kind == "none" else "baseline"


def is_guided(arm: Arm) -> bool:
    """Whether it learns from more than labels."""
    return arm.targets.kind != "labels" or arm.consistency.kind != "none"


def find_counterpart(arm: Arm, baselines: Mapping[str, Arm]) -> str | None:
    """The baseline that equals the arm but for generated images; None where there is none."""
    wanted = simplify(arm)
    return next((name for name, baseline in baselines.items() if simplify(baseline) == wanted), None)


def pair_counterparts(
    baselines: Mapping[str, Arm], expanded: Mapping[str, Arm], aliases: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Pairs of an arm with generated images, and the same on real ones or with a placebo; trained arms, each once.

    aliases: arms that were not trained, and the arms that they equal.
    """
    pairs = []
    for name, arm in expanded.items():
        if arm.placebo.kind != "none":
            continue
        others = [find_counterpart(arm, baselines)]
        others += [other for other, found in expanded.items() if found.placebo.kind != "none" and _is_twin(arm, found)]
        pairs += [(aliases.get(name, name), aliases.get(other, other)) for other in others if other is not None]
    return list(dict.fromkeys(pairs))


def _is_twin(arm: Arm, other: Arm) -> bool:
    """Whether two arms differ in their placebo alone."""
    return arm == other.model_copy(update={"placebo": arm.placebo})


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
    for name, arm in expanded.items():
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
    if arm.consistency.kind == "none":
        return
    generated = getattr(arm.consistency, "images", None) == "generated"
    if arm.separate is not None:
        raise ValueError(f"the arm {name!r} has both separate and consistency; remove one of them")
    if generated and (arm.finish or arm.real_weight is not None):
        key = "finish" if arm.finish else "real_weight"
        raise ValueError(f"{key} has no effect in the arm {name!r}, whose generated images have no labels")
    if generated and getattr(arm.targets, "images", "real") != "real":
        raise ValueError(
            f"targets of the arm {name!r} are for generated images, which its consistency learns from without labels;"
            " write targets.images: real"
        )


def _write(section: Section) -> str:
    """As YAML on one line, without the keys that have their defaults."""
    parts = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if key == "kind" or value != field.default:
            parts.append(f"{key}: {_write(value) if isinstance(value, Section) else value}")
    return "{" + ", ".join(parts) + "}"
