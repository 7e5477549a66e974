"""The networks that a search may choose among, by the images' size and by what the recipe says."""

from __future__ import annotations

import pytest

from ops.recipe.arms import Mlp, Network, SmallResNet, find_stride
from ops.tuning.factors import find_keys, list_networks


@pytest.mark.parametrize(
    ("side", "stride", "expected"),
    [
        (8, 2, [(2, 32), (1, 32), (2, 48)]),
        (32, 2, [(2, 32), (1, 16), (2, 48)]),
        (64, 2, [(2, 32), (4, 64), (2, 48)]),
        (128, 2, [(2, 32), (4, 64), (2, 48)]),  # the recipe's word counts
        (128, 4, [(4, 32), (2, 16), (4, 48)]),
        (64, 4, []),  # nobody's usual one, so it is not changed
    ],
)
def test_variants_of_the_usual_network_cost_about_as_much(
    side: int, stride: int, expected: list[tuple[int, int]]
) -> None:
    found = list_networks(side, SmallResNet(stride=stride, standardise="image"))
    assert [tuple((level.network or {}).values()) for level in found] == expected
    assert all(level.cost <= 1.7 for level in found) and [level.cost for level in found[:1]] in ([1.0], [])
    assert len({level.name for level in found}) == len(found)


@pytest.mark.parametrize("network", [Mlp(), SmallResNet(width=24), SmallResNet(stride=1), SmallResNet(stem=2)])
def test_a_network_of_the_recipes_own_is_kept(network: Network) -> None:
    assert find_keys(network) is None
    assert list_networks(32, network) == list_networks(128, network) == ()


def test_the_usual_network_is_what_a_recipe_leaves_out() -> None:
    assert find_keys(SmallResNet()) == {"stride": find_stride(32), "width": SmallResNet().width}
    assert find_keys(SmallResNet(stride=4)) == {"stride": find_stride(96), "width": SmallResNet().width}
