"""One number from 0 to 1 for how strongly images are augmented, and what it means for each trainer.

More data ask for weaker augmentation (Wang et al. 2024): 1 is what a method is published with, 0.5 is AdaInf's weaker
setting, 0 neither crops nor changes colours. Between them the smallest crop moves in proportion and the rest in equal
steps. Grey-out, blur, solarisation and mirroring stay as they are, as in AdaInf. Supervised training has no published
scale of this kind. There 1 is what is customary on CIFAR, and the rest lies in proportion. The module knows settings
alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ops.recipe.ingredients.contrastive import CONTRASTIVE, ContrastiveTrainer
from ops.recipe.ingredients.views import PRESETS, Standard

MOST_SHIFT = 1 / 8  # of the shorter side: 4 pixels of 32, customary on CIFAR (He et al. 2016)
MOST_MAGNITUDE = 10.0  # RandAugment's m, this program's default. All but two of its operations do less at a lower m
MOST_ALPHA = 1.0  # mixup's published α on CIFAR (Zhang et al. 2018)

AT_HALF: dict[Standard, str] = {"standard": "adainf", "weak": "adainf", "asymmetric": "asymmetric_adainf"}
JITTERED = ("jitter", "brightness", "contrast", "saturation", "hue")
AUTO = "auto"  # the controller chooses; until it has, an arm is written as at strength 1


def weaken_views(strength: float, standard: Standard) -> dict[str, float]:
    """The keys of `Views` at a strength in 0..1 on the way from no crop and no jitter to a method's standard views.

    >>> [round(weaken_views(s, "standard")["crop"], 3) for s in (0, 0.25, 0.5, 0.75, 1)]
    [1.0, 0.447, 0.2, 0.126, 0.08]
    """
    _check(strength)
    half, full = PRESETS[AT_HALF[standard]], PRESETS[standard]
    nothing = {**half, "crop": 1.0, **dict.fromkeys(JITTERED, 0.0)}
    low, high, share = (nothing, half, 2 * strength) if strength <= 0.5 else (half, full, 2 * strength - 1)
    crop = math.exp((1 - share) * math.log(low["crop"]) + share * math.log(high["crop"]))
    found = {key: _between(low[key], high[key], share) for key in full}
    return {**found, "crop": high["crop"] if share == 1 else min(1.0, crop)}


def find_strength(crop: float) -> float:
    """The strength in 0..1 whose views have this smallest crop, in 0..1: the inverse of `weaken_views`; 1 below 0.08.

    >>> [round(find_strength(crop), 3) for crop in (0.02, 0.08, 0.2, 0.3, 1.0)]
    [1.0, 1.0, 0.5, 0.374, 0.0]
    """
    if not 0 < crop <= 1:
        raise ValueError(f"a smallest crop must be in 0..1 and above 0, not {crop:g}")
    half, full = PRESETS["adainf"]["crop"], PRESETS["standard"]["crop"]
    if crop <= full:
        return 1.0
    if crop <= half:
        return 0.5 + 0.5 * math.log(crop / half) / math.log(full / half)
    return 0.5 * math.log(crop) / math.log(half)


def weaken_labelled(strength: float) -> dict[str, Mapping[str, Any]]:
    """The `augmentation` and the `pairing` of a supervised arm at a strength in 0..1; at 0 images are mirrored only.

    >>> weaken_labelled(0.5)["pairing"]
    {'kind': 'mixup', 'alpha': 0.5}
    """
    _check(strength)
    if strength == 0:
        return {"augmentation": {"kind": "flip_crop", "strength": 0.0}, "pairing": {"kind": "none"}}
    return {
        "augmentation": {
            "kind": "randaugment",
            "strength": MOST_MAGNITUDE * strength,
            "shift": MOST_SHIFT * strength,
        },
        "pairing": {"kind": "mixup", "alpha": MOST_ALPHA * strength},
    }


def fill_in(keys: Mapping[str, Any]) -> dict[str, Any]:
    """An arm's keys as written, with what its strength means where the arm does not say it itself.

    A contrastive trainer without a strength has the views that it is published with. Keys that are not valid are left
    to be refused with the others.
    """
    found, strength = dict(keys), keys.get("strength")
    standard = find_standard(keys.get("trainer"))
    if strength is not None and strength != AUTO and not _is_strength(strength):
        return found
    if standard is not None:
        views = weaken_views(read_strength(strength), standard)
        own = keys.get("augmentation")
        own = {"kind": own} if isinstance(own, str) else own
        if "augmentation" not in keys:
            found["augmentation"] = {"kind": "views", **views}
        elif isinstance(own, Mapping) and own.get("kind") == "views" and own.get("preset") is None:
            found["augmentation"] = {**views, **own}
    elif strength is not None:
        found = {**weaken_labelled(read_strength(strength)), **found}
    return found


def read_strength(strength: Any) -> float:
    """The number that a strength stands for where it is written; 1 for none and for auto."""
    return 1.0 if strength is None or strength == AUTO else float(strength)


def change_strength(keys: Mapping[str, Any], strength: float | str) -> dict[str, Any]:
    """A dumped arm's keys at another strength, or at auto: what its own strength meant changes, the rest stays."""
    meant, found = fill_in({key: keys[key] for key in ("trainer", "strength") if key in keys}), dict(keys)
    wanted = fill_in({"trainer": keys.get("trainer", "supervised"), "strength": strength})
    for key in ("augmentation", "pairing"):
        old, now, new = meant.get(key), found.get(key), wanted.get(key)
        if not isinstance(old, Mapping) or not isinstance(now, Mapping) or new is None:
            continue
        if old["kind"] == "views" == now["kind"]:
            found[key] = {
                name: new.get(name, value) if value == old.get(name) else value for name, value in now.items()
            }
        elif all(now.get(name) == value for name, value in old.items()):
            found[key] = dict(new)
    return {**found, "strength": strength}


def find_standard(trainer: Any) -> Standard | None:
    """The standard views of a trainer as a recipe writes it; None for one that is not contrastive."""
    kind = trainer.get("kind") if isinstance(trainer, Mapping) else getattr(trainer, "kind", trainer)
    section = CONTRASTIVE.get(kind) if isinstance(kind, str) else None
    return section.standard if section is not None and issubclass(section, ContrastiveTrainer) else None


def _is_strength(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _check(strength: float) -> None:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be in 0..1, not {strength:g}")


def _between(low: float, high: float, share: float) -> float:
    return high if share == 1 else low + share * (high - low)
