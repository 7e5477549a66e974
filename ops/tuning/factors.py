"""What a search may change: factors, each with levels from which one is chosen.

The first level of a factor is the mildest. It is kept unless another one is better by more than chance. RandAugment is
a late factor: it takes the place of the whole composed policy, so it competes with what the other factors chose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ops.recipe.arms import Network, Policy, RandAugment, SmallResNet, Standardise, find_stride

COLOURS = ("channel_order", "grey")  # keys of a policy that images of one channel do not have
MAGNITUDES = (4.0, 8.0, 14.0)  # of RandAugment, out of 30
TINY, LARGE = 16, 48  # pixels of the shorter side: below TINY and from LARGE on other stems make sense
NARROW, USUAL, WIDE = 16, 32, 48  # widths of the small network
RESOLUTIONS = {1: "full", 2: "half", 4: "quarter"}  # by the stem's stride


@dataclass(frozen=True)
class Level:
    """One value of a factor: a name for people, and keys of a policy, or keys of the network, or a magnitude.

    cost: of a training, in trainings of the factor's first level; measured on one core, and rough.
    """

    name: str
    policy: Mapping[str, float]
    standardise: Standardise | None = None
    network: Mapping[str, int] | None = None
    magnitude: float | None = None
    cost: float = 1.0


@dataclass(frozen=True)
class Factor:
    """A factor of the search, mildest level first. late: it is decided after the others, one level against the rest."""

    name: str
    levels: tuple[Level, ...]
    late: bool = False


@dataclass(frozen=True)
class Choice:
    """A level of each factor, by the factor's name: what the search chooses."""

    levels: tuple[tuple[str, int], ...]

    def replace(self, factor: str, level: int) -> Choice:
        """The choice with another level of one factor."""
        return Choice(tuple((name, level if name == factor else old) for name, old in self.levels))


def list_factors(channels: int, networks: tuple[Level, ...] = ()) -> list[Factor]:
    """The factors for images of so many channels; the two-level one is first, as the design has it.

    networks: levels of the factor "network", as `list_networks` gives them; fewer than two are no choice.
    """
    factors = [
        Factor("flip", (Level("off", {}), Level("on", {"flip": 0.5}))),
        Factor(
            "geometry",
            (
                Level("shift", {"shift": 0.07}),
                Level("mild", {"shift": 0.08, "scale": 0.15, "rotation": 10.0}),
                Level("strong", {"shift": 0.12, "scale": 0.3, "rotation": 20.0}),
            ),
        ),
        Factor(
            "colour",
            (
                Level("off", {}),
                Level("levels", {"gain": 0.5, "offset": 0.15}),
                Level(
                    "strong",
                    {"gain": 0.5, "offset": 0.15, "channel_order": 0.8, "inversion": 0.5, "grey": 0.2},
                ),
            ),
        ),
        Factor("erasing", (Level("off", {}), Level("small", {"erasing": 0.3}), Level("large", {"erasing": 0.5}))),
        Factor("texture", (Level("off", {}), Level("noise", {"noise": 0.08}), Level("blur", {"blur": 1.0}))),
        Factor(
            "input",
            (
                Level("as it is", {}, "none"),
                Level("standardised", {}, "image"),
                *([Level("standardised grey", {}, "grey")] if channels > 1 else []),
            ),
        ),
        *([Factor("network", networks)] if len(networks) > 1 else []),
        Factor(
            "randaugment",
            (Level("composed policy", {}), *(Level(f"magnitude {m:g}", {}, magnitude=m, cost=1.2) for m in MAGNITUDES)),
            late=True,
        ),
    ]
    return factors if channels > 1 else [_drop_colours(factor) for factor in factors]


def list_networks(side: int, network: Network) -> tuple[Level, ...]:
    """Variants of the recipe's `network` for images with a shorter side of so many pixels, the usual one first.

    The stem of the usual one halves the side, or quarters it where the recipe says so and images are that large.
    Variants with another stem cost about the same, because their width differs too. None where the recipe names a
    network of its own.
    """
    keys = find_keys(network)
    if keys is None or (stride := keys["stride"]) > find_stride(side):
        return ()
    if stride == 4:
        other = _make_level(2, NARROW, "narrow", 1.3)
    elif side < TINY:
        other = _make_level(1, USUAL, None, 1.5)
    elif side < LARGE:
        other = _make_level(1, NARROW, "narrow", 1.3)
    else:
        other = _make_level(4, 2 * USUAL, "wide", 1.1)
    return _make_level(stride, USUAL), other, _make_level(stride, WIDE, "wide", 1.7)


def find_keys(network: Network) -> dict[str, int] | None:
    """`stride` and `width` of a recipe's network that a search may change; None for one of the recipe's own."""
    default = SmallResNet(standardise=network.standardise)
    strides = [stride for stride in (2, 4) if network == default.model_copy(update={"stride": stride})]
    return {"stride": strides[0], "width": USUAL} if strides else None


def _make_level(stride: int, width: int, says: str | None = None, cost: float = 1.0) -> Level:
    name = f"{RESOLUTIONS[stride]} resolution" + (f", {says}" if says else "")
    return Level(name, {}, network={"stride": stride, "width": width}, cost=cost)


def build_policy(factors: Sequence[Factor], choice: Choice) -> Policy:
    """The composed policy of a choice, also where RandAugment takes its place."""
    keys: dict[str, Any] = {}
    for level in _take(factors, choice):
        keys |= level.policy
    return Policy(**keys)


def build_augmentation(factors: Sequence[Factor], choice: Choice) -> Policy | RandAugment:
    """The augmentation that a choice stands for. RandAugment mirrors images as often as the policy does."""
    policy = build_policy(factors, choice)
    magnitude = next((level.magnitude for level in _take(factors, choice) if level.magnitude), None)
    return policy if magnitude is None else RandAugment(strength=magnitude, flip=policy.flip)


def find_network(factors: Sequence[Factor], choice: Choice) -> dict[str, int] | None:
    """Keys of the network that a choice stands for; None where it is not chosen."""
    return next((dict(level.network) for level in _take(factors, choice) if level.network), None)


def find_cost(factors: Sequence[Factor], choice: Choice) -> float:
    """Of a training, in trainings of the mildest choice."""
    return math.prod(level.cost for level in _take(factors, choice))


def find_standardise(factors: Sequence[Factor], choice: Choice) -> Standardise:
    """How a choice standardises the network's input."""
    return next((level.standardise for level in _take(factors, choice) if level.standardise), "none")


def name_levels(factors: Sequence[Factor], choice: Choice) -> dict[str, str]:
    """The chosen level of each factor by name."""
    return {factor.name: level.name for factor, level in zip(factors, _take(factors, choice), strict=True)}


def _take(factors: Sequence[Factor], choice: Choice) -> list[Level]:
    chosen = dict(choice.levels)
    return [factor.levels[chosen[factor.name]] for factor in factors]


def _drop_colours(factor: Factor) -> Factor:
    """The factor for images of one channel."""
    kept = [{key: value for key, value in level.policy.items() if key not in COLOURS} for level in factor.levels]
    levels = zip(factor.levels, kept, strict=True)
    return replace(factor, levels=tuple(replace(level, policy=policy) for level, policy in levels))
