"""The description of a source, `sources/<name>.yaml`: strict, relative to itself, every mistake one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.datasets.sources import SourceSpec, load_source_spec
from ops.errors import UserError


def test_a_description_is_read_relative_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "sources" / "birds.yaml"
    path.parent.mkdir()
    path.write_text("kind: folder\npath: ../images\nlicence: CC0\nsize: 32\n", encoding="utf-8")
    assert load_source_spec(path) == SourceSpec("birds", "folder", tmp_path / "images", "CC0", 32)
    path.write_text("kind: parquet\npath: /data/birds\nlicence: CC0\n", encoding="utf-8")
    assert load_source_spec(path) == SourceSpec("birds", "parquet", Path("/data/birds"), "CC0", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("licens: MIT\n", ": unknown key licens; nearest: licence$"),
        ("kind: folder\npath: a\n", ": key licence is None; expected a text$"),
        ("kind: folder\npath: a\nlicence: no\n", ": key licence is False; expected a text$"),
        ("kind: zip\npath: a\nlicence: MIT\n", ": kind zip is unknown; allowed: folder, parquet$"),
        ("kind: folder\nkind: folder\n", ": key kind is given 2 times; allowed: once$"),
        ("kind: folder\npath: a\nlicence: M\nsize: 0\n", ": size is 0; allowed: a whole number of pixels"),
        ("kind: folder\npath: a\nlicence: M\nsize: yes\n", ": size is True; allowed: a whole number of"),
        ("kind: folder\npath: [a\n", ", line 3: not valid YAML"),
        ("- kind\n", ": expected keys and values; allowed keys: kind, path, licence, size$"),
        ("", ": expected keys and values"),
    ],
)
def test_mistakes_in_a_description_are_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "birds.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=f"^{path}{message}"):
        load_source_spec(path)


def test_a_description_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="birds.yaml does not exist; expected the description of a source$"):
        load_source_spec(tmp_path / "birds.yaml")
    (tmp_path / "birds.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UserError, match="birds.yaml: not valid YAML"):
        load_source_spec(tmp_path / "birds.yaml")
