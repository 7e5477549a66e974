"""What a search may change: factors, each with two or three levels from which one is chosen.

The first level of a factor is the mildest. It is kept unless another one is better by more than chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.recipe.arms import Policy, Standardise

COLOURS = ("channel_order", "grey")  # keys of a policy that images of one channel do not have


@dataclass(frozen=True)
class Level:
    """One value of a factor: a name for people, and the keys of a policy or the `standardise` of a network."""

    name: str
    policy: Mapping[str, float]
    standardise: Standardise | None = None


@dataclass(frozen=True)
class Factor:
    """A factor of the search, mildest level first."""

    name: str
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class Choice:
    """A level of each factor, by the factor's name: what the search chooses."""

    levels: tuple[tuple[str, int], ...]

    def replace(self, factor: str, level: int) -> Choice:
        """The choice with another level of one factor."""
        return Choice(tuple((name, level if name == factor else old) for name, old in self.levels))


def list_factors(channels: int) -> list[Factor]:
    """The factors for images of so many channels; the two-level one is first, as the design has it."""
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
    ]
    return factors if channels > 1 else [_drop_colours(factor) for factor in factors]


def build_policy(factors: list[Factor], choice: Choice) -> Policy:
    """The augmentation that a choice stands for."""
    keys: dict[str, Any] = {}
    for level in _take(factors, choice):
        keys |= level.policy
    return Policy(**keys)


def find_standardise(factors: list[Factor], choice: Choice) -> Standardise:
    """How a choice standardises the network's input."""
    return next((level.standardise for level in _take(factors, choice) if level.standardise), "none")


def name_levels(factors: list[Factor], choice: Choice) -> dict[str, str]:
    """The chosen level of each factor by name."""
    return {factor.name: level.name for factor, level in zip(factors, _take(factors, choice), strict=True)}


def _take(factors: list[Factor], choice: Choice) -> list[Level]:
    chosen = dict(choice.levels)
    return [factor.levels[chosen[factor.name]] for factor in factors]


def _drop_colours(factor: Factor) -> Factor:
    """The factor for images of one channel."""
    kept = [{key: value for key, value in level.policy.items() if key not in COLOURS} for level in factor.levels]
    levels = zip(factor.levels, kept, strict=True)
    return Factor(factor.name, tuple(Level(level.name, policy, level.standardise) for level, policy in levels))
