"""The description of a source, `sources/<name>.yaml`: strict, with relative paths, one sentence per mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from ops.errors import UserError
from ops.sources.layouts import LAYOUTS
from ops.sources.spec import SourceSpec, load_source_spec


def make(**keys: object) -> SourceSpec:
    return SourceSpec.model_validate({"kind": "folder", "licence": "CC0", **keys})


def test_paths_in_a_description_are_relative_to_its_file(tmp_path: Path) -> None:
    path = tmp_path / "sources" / "birds.yaml"
    path.parent.mkdir()
    path.write_text("kind: folder\npath: ../images\nlicence: CC0\nsize: 32\n", encoding="utf-8")
    assert load_source_spec(path) == make(name="birds", path=str(tmp_path / "images"), size=32)
    path.write_text("kind: parquet\npath: /data/birds\nlicence: CC0\n", encoding="utf-8")
    assert load_source_spec(path) == make(name="birds", kind="parquet", path="/data/birds")
    path.write_text("kind: npz\npath: s3://bucket/birds.npz\nlicence: CC0\n", encoding="utf-8")
    assert load_source_spec(path).path == "s3://bucket/birds.npz"


def test_every_kind_has_a_layout_and_every_layout_a_kind() -> None:
    assert set(get_args(SourceSpec.model_fields["kind"].annotation)) == set(LAYOUTS)


BASE = "kind: folder\npath: a\nlicence: M\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("licens: MIT\n", "unknown key 'licens' in {}; did you mean 'licence'?"),
        ("kind: folder\npath: a\n", "key 'licence' is missing in {}"),
        ("kind: folder\npath: a\nlicence: 3\n", "'licence' in {}: input should be a valid string; got 3"),
        ("kind: zipp\npath: a\nlicence: M\n", "'kind' in {}: input should be 'folder', 'metadata', 'parquet'"),
        ("kind: folder\nkind: folder\n", "{} is not valid YAML at line 2, column 1"),
        (BASE + "size: 0\n", "'size' in {}: input should be greater than or equal to 1; got 0"),
        (BASE + "size: true\n", "'size' in {}: input should be a valid integer; got True"),
        (BASE + "fit: pad\n", "{}: fit: pad has no effect without size"),
        (BASE + "label: x\n", "{}: label has no effect with kind: folder; allowed with parquet, metadata"),
        (BASE + "class_names: [a, b]\n", "{}: class_names has no effect with kind: folder"),
        (BASE + "background: [1, 2]\n", "'background"),
        (BASE + "background: [1, 2, 256]\n", "'background"),
        (BASE + "split: {}\n", "'split' in {}: split draws nothing; add validation or test"),
        (
            BASE + "split: {test: 0.5, validation: 0.5}\n",
            "'split' in {}: validation and test leave nothing for train",
        ),
        (
            BASE + "split: {validation: 0.2, validation_from: test, test: 0.2}\n",
            "'split' in {}: validation_from: test needs test images of the source's own; remove test",
        ),
        (
            BASE + "split: {test: 0.2, validation_from: train}\n",
            "'split' in {}: validation_from has no effect without validation; add it, a share between 0 and 1",
        ),
        (BASE + "split: {tests: 0.5}\n", "unknown key 'split.tests' in {}; did you mean 'test'?"),
        (BASE + "name: x\n", "unknown key 'name' in {}; a source has the name of its file"),
        ("kind: folder\npath: [a\n", "{} is not valid YAML at line 3"),
        ("- kind\n", "{} must hold keys such as 'kind:' and 'path:'; it holds list"),
        ("", "{} must hold keys such as 'kind:' and 'path:'; it holds NoneType"),
    ],
)
def test_mistakes_in_a_description_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "birds.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(message.format(path))) as caught:
        load_source_spec(path)
    assert "\n" not in str(caught.value)


def test_a_missing_or_binary_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="birds.yaml does not exist; expected the description of a source$"):
        load_source_spec(tmp_path / "birds.yaml")
    (tmp_path / "birds.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UserError, match="birds.yaml is not UTF-8 text"):
        load_source_spec(tmp_path / "birds.yaml")
