"""Rounds that are taken over: images never without their records."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from ops.chain.parts.rounds import take_round
from ops.files.outputs import DRAWN, IMAGINED


class Earlier:
    """An earlier output that has shards, and records if given; it notes what it was asked for."""

    def __init__(self, records: pl.DataFrame | None) -> None:
        self.records, self.asked = records, list[str]()

    def take_records(self, drawn_by: str, drawn: Any, name: str) -> pl.DataFrame | None:
        self.asked.append("records")
        return self.records

    def take_shards(self, drawn_by: str, drawn: Any, shards: Any) -> bool:
        self.asked.append("shards")
        return True


@pytest.mark.parametrize("name", [IMAGINED, DRAWN])
@pytest.mark.parametrize("held", [True, False])
def test_shards_are_taken_over_after_their_records_or_not_at_all(tmp_path: Path, held: bool, name: str) -> None:
    (tmp_path / "round-0").mkdir()
    earlier = Earlier(pl.DataFrame({"k": [0]}) if held else None)
    assembly, source = (SimpleNamespace(shards=list), SimpleNamespace(recorded=name))
    taken = take_round(earlier, "a", [(1,)], assembly, tmp_path, source)
    assert taken == held and earlier.asked == (["records", "shards"] if held else ["records"])
    assert (tmp_path / "round-0" / name).exists() == held
    plain = Earlier(None)
    assert take_round(plain, "a", [(1,)], assembly, tmp_path, SimpleNamespace(recorded=None))
    assert plain.asked == ["shards"]
