"""Folder names for classes: different on every file system, readable, never hidden, reserved or a path."""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.exports.names import name_folders

TRICKY = st.text(alphabet=st.sampled_from("aAbBßẞſsSıiIİKkéÉe\u0301 .%-_/\\:日ﬁＡ4121"), max_size=6)


def fold(name: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFKD", name).casefold())


@given(
    st.lists(st.one_of(st.text(alphabet=st.characters(codec="utf-8"), max_size=20), TRICKY), unique=True, max_size=12)
)
def test_any_names_differ_without_case_and_can_be_read_back(names: list[str]) -> None:
    folders = name_folders(names)
    assert len({fold(folder) for folder in folders}) == len(names)
    for name, folder in zip(names, folders, strict=True):
        assert folder and not set(folder) & set('/\\:*?"<>|.\0\n') and folder == folder.strip()
        assert len(folder.encode()) <= 160
        if "%-" not in folder:
            assert ("" if folder == "%" else unquote(folder, errors="strict")) == name


def test_plain_names_stay_as_they_are() -> None:
    names = ["Ankle boot", "straße", "日本語", "T-shirt_2", "हिन्दी"]
    assert name_folders(names) == names


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("a/b", "a%2Fb"), ("..", "%2E%2E"), (".git", "%2Egit"), ("", "%"), (" a ", "%20a%20"), ("con", "%63on"),
        ("Nul", "%4Eul"), ("100%", "100%25"), ('"x"', "%22x%22"), ("metadata.csv", "metadata%2Ecsv"),
        ("test", "%74est"), ("crash test-dev", "crash %74est-%64ev"), ("Test", "Test"), ("latest", "latest"),
    ],
)  # fmt: skip
def test_names_that_a_file_system_cannot_hold_are_escaped(name: str, folder: str) -> None:
    assert name_folders([name]) == [folder]


def test_only_names_that_are_equal_without_case_are_escaped_further() -> None:
    assert name_folders(["Bag", "bag", "Boot"]) == ["%42ag", "bag", "Boot"]
    assert name_folders(["é", "e\u0301"]) == ["%C3%A9", "e%CC%81"]


def test_long_names_are_cut_and_still_differ() -> None:
    first, second = name_folders(["日" * 100 + "a", "日" * 100 + "b"])
    assert first != second and first.startswith("日日") and "%-" in first


def test_equal_names_are_a_callers_mistake() -> None:
    with pytest.raises(ValueError, match="two classes have the same name"):
        name_folders(["a", "a"])
