"""Names of expansions: which a recipe may have, and which two cannot be active at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.errors import UserError
from ops.scaffold.workspace import name_source
from ops.workspaces.names import check_name, identifier, require_distinct


@pytest.mark.parametrize("name", ["digits", "fashion-flow", "v1.2_b", "0", "a" * 57])
def test_a_good_name_is_allowed(name: str) -> None:
    check_name(name)
    assert identifier(name).isidentifier() or identifier(name)[0].isdigit()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../evil", "allowed: letters, digits"),
        ("-quick", "starting with a letter or digit"),
        ("a" * 58, "it has 58 characters; allowed: at most 57"),
        ("a..b", "git allows no tag with"),
        ("base.lock", "git allows no tag with"),
        ("sources", "Dagster lists the sources under this name"),
    ],
)
def test_a_bad_name_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        check_name(name)


@pytest.mark.parametrize("pair", [("a-b", "a_b"), ("a.b", "a-b"), ("a_b", "a.b")])
def test_two_names_that_dagster_writes_alike_are_not_active_together(pair: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=f"'{pair[0]}' and '{pair[1]}' cannot both be active: .* 'a_b'"):
        require_distinct(["digits", *pair])
    with pytest.raises(UserError, match="the sources 'leaves-2' and 'leaves_2' cannot both be active"):
        require_distinct(["leaves-2", "leaves_2"], "sources")


def test_a_name_that_is_listed_twice_is_one_expansion() -> None:
    require_distinct(["a-b", "a-b", "a-c"])


@pytest.mark.parametrize(
    ("folder", "name"),
    [("My Leaves", "my-leaves"), ("sources", "images"), ("__", "images"), ("a" * 56 + "-bc", "a" * 56)],
)
def test_the_name_of_a_folder_of_images_becomes_an_allowed_name(tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir()
    assert name_source(tmp_path / folder) == name
    check_name(name)
