"""Kind `stylegan2`, as `AdversarialKind` needs it. Modules that compute are imported inside functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ops.generators.adversarial.design import Given, Products
from ops.generators.stylegan2.grids import check_shape, count_products
from ops.recipe.stylegan2 import StyleGan2Settings

if TYPE_CHECKING:
    from ops.generators.adversarial.game import Game
    from ops.generators.adversarial.pair import Maker, Pair


class StyleGan2:
    """Styled convolutions against a residual critic with adaptive augmentation."""

    name: ClassVar[str] = "stylegan2"

    def check(self, settings: StyleGan2Settings, shape: tuple[int, int, int]) -> None:
        check_shape(settings, shape)

    def describe(self, settings: StyleGan2Settings, shape: tuple[int, int, int]) -> dict[str, Any]:
        return {"base": settings.width, "style": settings.find_latent(shape), "layers": settings.layers}

    def build_maker(self, config: Mapping[str, Any]) -> Maker:
        from ops.generators.stylegan2.maker import build_maker

        return build_maker(config)

    def build_pair(self, config: Mapping[str, Any], settings: StyleGan2Settings) -> Pair:
        from ops.generators.stylegan2.critic import build_critic
        from ops.generators.stylegan2.game import StylePair

        return StylePair(self.build_maker(config), build_critic(config), settings)

    def make_game(self, pair: Pair, settings: StyleGan2Settings, given: Given) -> Game:
        from ops.generators.stylegan2.game import StyleGame, StylePair

        assert isinstance(pair, StylePair)
        return StyleGame(pair, settings, given)

    def count_products(self, settings: StyleGan2Settings, shape: tuple[int, int, int]) -> Products:
        return count_products(settings, shape)
