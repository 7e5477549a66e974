"""The kinds of parts: both registries agree, and seeds of several parts take turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ops.study.design import PARTS
from ops.study.kinds import KINDS
from ops.study.results import Block, Cell
from ops.study.running import order_blocks


@dataclass
class PlannedBench:
    """Blocks without cells."""

    name: str
    blocks: list[Block]
    measures: list[str] = field(default_factory=list)

    def list_cells(self, block: Block) -> list[Cell]:
        return []


def test_every_kind_has_its_keys_and_its_functions() -> None:
    assert PARTS.keys() == KINDS.keys()
    for name, section in PARTS.items():
        assert section.model_fields["kind"].default == name


def test_the_first_seed_of_every_part_comes_before_the_second_of_any() -> None:
    kind: Any = KINDS["mixup_gan"]
    one = PlannedBench("one", [Block("one", setting, 10, seed) for seed in (0, 1, 2) for setting in "ab"])
    other = PlannedBench("other", [Block("other", "a", steps, seed) for seed in (7, 3) for steps in (20, 10)])
    found = [
        (b.name, block.setting, block.steps, block.seed) for _, b, block in order_blocks([(kind, one), (kind, other)])
    ]
    assert found == [
        *(("one", setting, 10, 0) for setting in "ab"),
        *(("other", "a", steps, 7) for steps in (20, 10)),
        *(("one", setting, 10, 1) for setting in "ab"),
        *(("other", "a", steps, 3) for steps in (20, 10)),
        *(("one", setting, 10, 2) for setting in "ab"),
    ]
