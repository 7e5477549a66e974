"""What each adversarial kind defines: the networks, and the game between them. It loads nothing that computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ops.generators.adversarial.given import Given
from ops.recipe.adversarial import AdversarialSettings

if TYPE_CHECKING:
    from ops.generators.adversarial.game import Game
    from ops.generators.adversarial.pair import Maker, Pair

Settings = TypeVar("Settings", bound=AdversarialSettings, contravariant=True)


class Design(Protocol[Settings]):
    """One adversarial kind. Its networks are built for a config.json, which `describe` adds to."""

    @property
    def name(self) -> str:
        """The value of `kind` in a recipe."""
        ...

    def check(self, settings: Settings, shape: tuple[int, int, int]) -> None:
        """UserError for images (channels, height, width) that these settings cannot draw."""
        ...

    def describe(self, settings: Settings, shape: tuple[int, int, int]) -> dict[str, Any]:
        """The entries of config.json that describe the maker."""
        ...

    def build_maker(self, config: Mapping[str, Any]) -> Maker:
        """The maker that a config.json describes, newly initialised."""
        ...

    def build_pair(self, config: Mapping[str, Any], settings: Settings) -> Pair:
        """Maker and critic, newly initialised."""
        ...

    def make_game(self, pair: Pair, settings: Settings, given: Given) -> Game:
        """The losses of both at each step; the pair is on the device where it computes."""
        ...

    def count_products(self, settings: Settings, shape: tuple[int, int, int]) -> Products:
        """What the networks compute for one image."""
        ...


@dataclass(frozen=True)
class Products:
    """Products of each network for one image; a multiplication and an addition count as two.

    rare : for one image of a step, of what only some steps compute, such as a penalty; the mean over all steps.
    """

    make: float
    judge: float
    rare: float = 0.0

    @property
    def step(self) -> float:
        """For one image of a step in which nothing rare is computed.

        The critic judges two images in its step. The maker's step passes its gradient through the critic once.
        """
        return self.make + 2 * PASSES * self.judge + PASSES * self.make + 2 * self.judge


PASSES = 3  # a loss computes the products forwards and twice backwards
