"""The outputs that the benchmark makes up are such that a page can be made of them, with images of every kind."""

from __future__ import annotations

from pathlib import Path

from benchmarks.explore import SCORES, make_outputs
from ops.exploring.page import STAGES
from ops.exploring.rows import KINDS, collect_rows
from ops.filters.results import read_results


def test_a_page_has_as_many_images_as_asked_for(tmp_path: Path) -> None:
    make_outputs(tmp_path, 2_500)
    folders = {stage: tmp_path / stage for stage in STAGES}
    rows = collect_rows(read_results(folders["accepted_images"], folders["expansion_plan"]), folders, None)
    assert len(rows) == 2_500 and set(rows.scores) == set(SCORES)
    counts = dict(zip(KINDS, rows.count_kinds(), strict=True))
    assert all(counts.values()) and counts["training"] == 1_000
    assert counts["rejected"] < counts["surplus"] < counts["accepted"]
