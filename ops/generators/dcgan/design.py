"""Kind `dcgan`, as `AdversarialKind` needs it. Modules that compute are imported inside functions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from ops.generators.adversarial.design import Products
from ops.generators.adversarial.given import Given
from ops.generators.dcgan.sizes import check_shape, count_products, find_width
from ops.recipe.dcgan import DcganSettings

if TYPE_CHECKING:
    from ops.generators.adversarial.game import Game
    from ops.generators.adversarial.pair import Maker, Pair


class Dcgan:
    """Convolutions with conditional batch norm against a critic with a projection."""

    name: ClassVar[str] = "dcgan"

    def check(self, settings: DcganSettings, shape: tuple[int, int, int]) -> None:
        check_shape(settings, shape)

    def describe(self, settings: DcganSettings, shape: tuple[int, int, int]) -> dict[str, Any]:
        return {"base": find_width(settings, shape), "latent": settings.find_latent(shape)}

    def build_maker(self, config: Mapping[str, Any]) -> Maker:
        from ops.generators.dcgan.network import build_maker

        return build_maker(config)

    def build_pair(self, config: Mapping[str, Any], settings: DcganSettings) -> Pair:
        from ops.generators.dcgan.network import build_pair

        return build_pair(config, settings)

    def make_game(self, pair: Pair, settings: DcganSettings, given: Given) -> Game:
        from ops.generators.adversarial.augmentation import change
        from ops.generators.adversarial.game import Game
        from ops.generators.adversarial.spectral import advance

        augment = partial(change, kinds=settings.augment)
        return Game(pair, settings, given, augment=augment, mode_seeking=settings.mode_seeking, advance=advance)

    def count_products(self, settings: DcganSettings, shape: tuple[int, int, int]) -> Products:
        return count_products(settings, shape)
