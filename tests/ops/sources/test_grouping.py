"""Columns of patients and the like: init writes them as groups where splits can keep them, and else warns."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ops.scaffold.texts import render_description
from ops.sources.observations import observe
from ops.sources.reading import read_source
from ops.sources.sketch import sketch_source
from ops.sources.spec import load_source_spec

IMAGES = 48


def write(root: Path, header: str, rows: list[str]) -> Path:
    """IMAGES images of two classes in turn, and the cells `rows` of further columns."""
    (root / "images").mkdir(parents=True)
    lines = [f"filename,label,{header}"]
    for number, cells in enumerate(rows):
        Image.new("L", (8, 8), number).save(root / "images" / f"{number}.png")
        lines.append(f"images/{number}.png,{'ab'[number % 2]},{cells}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("column", ["patient_id", "Patient ID", "subject", "lesion_id"])
def test_a_column_of_patients_becomes_the_group(tmp_path: Path, column: str) -> None:
    root = write(tmp_path / "cases", column, [f"p{number // 4}" for number in range(IMAGES)])
    spec = sketch_source(root, "cases", "CC0").spec
    assert (spec.group, observe(spec)) == (column, [])
    path = tmp_path / "cases.yaml"
    path.write_text(render_description(spec, str(root)))
    assert load_source_spec(path) == spec
    source = read_source(spec)
    units = {split: {source.units[name] for name in part.rows["image_id"]} for split, part in source.splits.items()}
    assert sum(map(len, units.values())) == IMAGES // 4 == len(set.union(*units.values()))


@pytest.mark.parametrize(
    ("header", "rows", "told"),
    [
        ("patient_id", [str(number) for number in range(IMAGES)], []),  # one image each
        ("colour", [str(number % 5) for number in range(IMAGES)], []),
        ("patient_id", [f"p{number // 24}" for number in range(IMAGES)], [
            "warning: images of one patient_id may be drawn into several splits; `group: patient_id` keeps them"
            " together",
        ]),
        ("patient,split", [f"p{number % 9},{('train', 'val', 'test')[number % 3]}" for number in range(IMAGES)], []),
        ("patient,split", [f"p{number % 8},{('train', 'val', 'test')[number % 3]}" for number in range(IMAGES)], [
            "warning: images of one patient lie in several splits (such as p0), which flatters the result; with `group:"
            " patient` a run refuses that",
        ]),
    ],
)  # fmt: skip
def test_where_there_are_no_groups_or_too_few(tmp_path: Path, header: str, rows: list[str], told: list[str]) -> None:
    spec = sketch_source(write(tmp_path, header, rows), "cases", "CC0").spec
    assert observe(spec) == told
    assert spec.group == ("patient" if rows[8].startswith("p8,") else None)
