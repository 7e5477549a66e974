"""Who is called what: faults that were published are refused or cannot be made."""

from __future__ import annotations

import pytest

from ops.errors import UserError
from ops.generators.diffusion.classes import build_class_table
from ops.recipe.diffusion import PromptSettings

# MedMNIST's order of PathMNIST, by which real images were labelled; generated ones were by that of sorted folders.
PATH = (
    "adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa",
    "cancer-associated stroma", "colorectal adenocarcinoma epithelium",
)  # fmt: skip


def test_prompts_follow_names_and_not_places() -> None:
    words = {name: f"tissue of {name}" for name in sorted(PATH)}
    table = build_class_table(PATH, PromptSettings(templates=("an image of {class}",), class_names=words))
    assert [table.write(label) for label in range(9)] == [f"an image of tissue of {name}" for name in PATH]


def test_the_published_fault_of_pathmnist_is_refused() -> None:
    """Sorted folders agree with MedMNIST's order in two of nine classes."""
    table = build_class_table(PATH, PromptSettings())
    assert sum(one == other for one, other in zip(PATH, sorted(PATH), strict=True)) == 2
    table.require_same(PATH, "the scorer")
    with pytest.raises(UserError, match="the scorer has the classes in another order: class 2 is 'cancer-associated"):
        table.require_same(sorted(PATH), "the scorer")
    with pytest.raises(UserError, match="name different classes: only one of them has 'adipose'"):
        table.require_same(PATH[1:], "the writer")


def test_the_published_fault_of_flowers_is_refused() -> None:
    """Its prompts had the numbers of folders: "an image of 21"."""
    with pytest.raises(UserError, match="class '21' has no name that a prompt could use"):
        build_class_table(("21", "22"), PromptSettings())
    named = PromptSettings(class_names={"1": "hard-leaved pocket orchid", "22": "pink primrose", "21": "fire lily"})
    assert build_class_table(("21", "22"), named).write(0) == "a photo of a fire lily."


@pytest.mark.parametrize("name", ["class_21", "n01440764", "Label 3", "c-4", "7"])
def test_numbers_in_disguise_are_no_names(name: str) -> None:
    with pytest.raises(UserError, match="has no name that a prompt could use"):
        build_class_table((name,), PromptSettings())
    for fine in ("cat", "B cell", "T-shirt/top", "5 o'clock shadow", "größe", "猫"):
        assert build_class_table((fine,), PromptSettings()).spoken == (fine,)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"bag": "handbag"}, "no name for class 'ankle_boot'"),
        ({"bag": "handbag", "ankle_boot": " "}, "no name for class 'ankle_boot'"),
        ({"bag": "a", "ankle boot": "b"}, "no name for class 'ankle_boot'; 'ankle boot' there is no class"),
        ({"bag": "Shoe", "ankle_boot": "shoe"}, "both called"),
    ],
)
def test_names_that_do_not_fit_the_classes_are_refused(words: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        build_class_table(("bag", "ankle_boot"), PromptSettings(class_names=words))


def test_names_of_folders_are_read_as_words() -> None:
    assert build_class_table(("ankle_boot",), PromptSettings()).write(0) == "a photo of a ankle boot."
