"""The kinds of parts: both registries agree, seeds of several parts take turns, and one study holds several kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import polars as pl

from ops.stages.materialization import Runtime
from ops.study.design import PARTS, Study
from ops.study.kinds import KINDS
from ops.study.page import write_page
from ops.study.results import Block, Cell
from ops.study.running import order_blocks, run_study
from ops.workspaces.workspace import Workspace
from tests.studies import Content


def plan_turns(turn: int, **turns: int) -> Any:
    """What a part says of turns: its own, and those of some settings."""
    return SimpleNamespace(find_turn=lambda setting: turns.get(setting, turn))


@dataclass
class PlannedBench:
    """Blocks without cells."""

    name: str
    blocks: list[Block]
    part: Any = field(default_factory=lambda: plan_turns(1))
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


def test_parts_of_an_earlier_turn_have_all_their_seeds_first() -> None:
    kind: Any = KINDS["mixup_gan"]
    benches = [
        PlannedBench(name, [Block(name, "a", 10, seed) for seed in (0, 1)], plan_turns(turn))
        for name, turn in (("late", 2), ("one", 1), ("other", 1))
    ]
    found = [(bench.name, block.seed) for _, bench, block in order_blocks([(kind, bench) for bench in benches])]
    assert found == [("one", 0), ("other", 0), ("one", 1), ("other", 1), ("late", 0), ("late", 1)]


def test_a_setting_has_a_turn_of_its_own() -> None:
    kind: Any = KINDS["mixup_gan"]
    blocks = [Block("one", setting, 10, seed) for seed in (0, 1) for setting in "abc"]
    other = PlannedBench("other", [Block("other", "a", 10, seed) for seed in (0, 1)], plan_turns(2))
    opened = [(kind, PlannedBench("one", blocks, plan_turns(1, a=3, c=2))), (kind, other)]
    found = [(block.part, block.setting, block.seed) for _, _, block in order_blocks(opened)]
    late = [("one", "c", 0), ("other", "a", 0), ("one", "c", 1), ("other", "a", 1), ("one", "a", 0), ("one", "a", 1)]
    assert found == [("one", "b", 0), ("one", "b", 1), *late]


def test_attacked_classifiers_and_gans_are_parts_of_one_study(
    main: Workspace, write: Callable[[Content], Study], content: Content, runtime: Runtime
) -> None:
    part = content["parts"]["small"]
    del part["baselines"]["taught"]
    part |= {
        "settings": {"6": part["settings"]["6"]},
        "steps": [40],
        "seeds": [0],
        "measures": ["accuracy", "fgsm", "ifgsm", "training_accuracy", "gap", "real_gap"],
    }
    gan = {"kind": "mixup_gan", "mixtures": ["ring"], "mixing": [0, 1], "steps": [2], "seeds": [0], "width": 8}
    study = write({**content, "parts": {"small": part, "gan": gan}})
    finished = run_study(study, main, runtime)
    assert (finished.cells, finished.missing) == (5, 0)
    rows = finished.table.filter(pl.col("part") == "small").sort("arm", "network")
    clean, one, ten, known, gap, real = (rows.filter(pl.col("measure") == name)["value"] for name in part["measures"])
    assert rows["value"].null_count() == 0 and rows["arm"].unique().sort().to_list() == ["ensemble", "plain"]
    assert (one <= clean).all() and (ten <= clean).all() and clean.max() > 0.5
    assert (known - clean - gap).abs().max() == 0 and gap.equals(real), "all training images are real"
    text = write_page(study, finished).read_text(encoding="utf-8")
    assert "### small" in text and "accuracy under FGSM, ε = 8/255" in text
    assert "### gan" in text and " of 8 |" in text
    assert "modes covered, %" in (study.folder / "figure.svg").read_text(encoding="utf-8")
