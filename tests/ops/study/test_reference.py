"""docs/studies.md: the tables of keys are what the schema gives, and its example is a study."""

from __future__ import annotations

import re
from pathlib import Path

from ops.settings.reading import parse_yaml
from ops.study.design import PARTS, StudyDesign
from ops.study.reference import render_keys, replace_keys

PAGE = (Path(__file__).parents[3] / "docs" / "studies.md").read_text(encoding="utf-8")


def test_the_committed_tables_are_what_the_schema_gives() -> None:
    assert replace_keys(PAGE) == PAGE, "run: python -m ops.study.reference"


def test_every_key_has_a_meaning() -> None:
    rows = [line for line in render_keys().splitlines() if line.startswith("| `")]
    assert all(len(row.split(" | ")[3].strip(" |")) > 5 and "None" not in row for row in rows)
    named = " ".join(rows)
    assert all(f"`{key}" in named for part in PARTS.values() for key in part.model_fields if key != "kind")


def test_the_examples_are_studies() -> None:
    examples = re.findall(r"```yaml\n(question:.*?)```", PAGE, re.DOTALL)
    parts = [StudyDesign.model_validate(parse_yaml(example, "the example")).parts for example in examples]
    assert [(list(each), part.seeds) for each in parts for part in each.values()] == [
        (["labels"], (0, 1, 2)),
        (["background"], (0, 1, 2)),
    ]
