"""The arms of a part by what taught them, and which of them its page compares. Settings alone."""

from __future__ import annotations

from collections.abc import Sequence

from ops.recipe.arms import Arm
from ops.recipe.automatic import list_automatic
from ops.recipe.counterparts import name_kind, pair_counterparts
from ops.recipe.variants import name_oracles
from ops.study.design import ClassifierPart


def list_arms(part: ClassifierPart) -> tuple[list[str], list[str]]:
    """The arms that no generated image taught, ensembles and placebos among them, and the others."""
    baselines, expanded = read_arms(part)
    kinds = {name: name_kind(name, baselines, expanded) for name in expanded}
    without = [*baselines, *(name for name, kind in kinds.items() if kind == "placebo")]
    grown = [name for name, kind in kinds.items() if kind == "expanded"]
    for name, of in part.ensembles.items():
        (grown if of in grown else without).append(name)
    return without, grown


def list_pairs(part: ClassifierPart) -> list[tuple[str, str]]:
    """Each arm with generated images beside the same one on real images, and with a placebo; then the part's pairs.

    Where no arm has generated images: each beside the first one.
    """
    if part.expanded:
        pairs = pair_counterparts(*read_arms(part), {})
    else:
        reference, *others = list_arms(part)[0]
        pairs = [(arm, reference) for arm in others]
    own = [(arm, other) for arm, others in part.pairs.items() for other in others]
    return list(dict.fromkeys([*pairs, *own]))


def list_rivals(part: ClassifierPart, arms: Sequence[str]) -> list[str]:
    """Those of `arms` that someone could choose: without oracles, which know the nuisance, without arms that choose by
    races, which stand in a table of their own, and without ensembles of these."""
    baselines, expanded = read_arms(part)
    others = {*name_oracles(baselines), *list_automatic({**baselines, **expanded})}
    return [arm for arm in arms if part.ensembles.get(arm, arm) not in others]


def read_arms(part: ClassifierPart) -> tuple[dict[str, Arm], dict[str, Arm]]:
    """The arms without generated images and those under expanded, by name."""
    return (
        {name: Arm.model_validate(keys) for name, keys in part.baselines.items()},
        {name: Arm.model_validate(keys) for name, keys in part.expanded.items()},
    )
