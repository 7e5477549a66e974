"""Class folders with folders in them: all images are read, and those of one folder may be kept together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.datasets.splits import assign_splits
from ops.errors import UserError
from ops.planning.counting import count_source
from ops.recipe.data import DataSettings
from ops.sources.layouts import folder
from ops.sources.reading import hash_source, read_source
from ops.sources.sketch import count_loose_images, recognise_source, sketch_source
from ops.sources.spec import SourceSpec, SplitRule
from tests.workspaces import growset

FILES = (
    "ant/p1/a.png",
    "ant/p1/deep/b.png",
    "ant/p2/a.png",
    "ant/c.png",
    "bee/p1/a.png",
    "bee/p3/a.png",
    "bee/p4/b.png",
)


def write(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(root / name)
    return root


def make_spec(root: Path, group: str | None = "subfolder") -> SourceSpec:
    return SourceSpec(name="insects", kind="folder", path=str(root), licence="CC0", group=group)


def test_images_at_any_depth_belong_to_their_class_folder_and_to_the_folder_in_it(tmp_path: Path) -> None:
    spec = make_spec(write(tmp_path, *FILES))
    found = folder.list_splits(spec)["train"]
    assert found.groups is not None
    assert [path.relative_to(tmp_path).as_posix() for path in folder.list_files(spec)] == sorted(FILES)
    by_name = dict(zip(sorted(FILES), zip(found.labels.tolist(), found.groups.tolist(), strict=True), strict=True))
    assert by_name == {
        "ant/c.png": (0, ""),  # in no group
        "ant/p1/a.png": (0, "p1"),
        "ant/p1/deep/b.png": (0, "p1"),
        "ant/p2/a.png": (0, "p2"),
        "bee/p1/a.png": (1, "p1"),  # the same patient as in the other class
        "bee/p3/a.png": (1, "p3"),
        "bee/p4/b.png": (1, "p4"),
    }
    assert folder.list_splits(make_spec(tmp_path, None))["train"].groups is None


def test_a_drawn_split_keeps_them_together(tmp_path: Path) -> None:
    names = [f"{kind}/{kind}-{group}/{i}.png" for kind in ("ant", "bee") for group in range(12) for i in range(4)]
    found = folder.list_splits(make_spec(write(tmp_path, *names)))["train"]
    assert found.groups is not None
    keys = [str(number) for number in range(len(names))]
    places = assign_splits(
        found.labels, keys, validation=0.25, test=0.25, seed=0, groups=found.groups.tolist(), class_names=["ant", "bee"]
    )
    assert {len(np.unique(places[found.groups == group])) for group in set(found.groups)} == {1}
    assert len(np.unique(places)) == 3


FILMS = tuple(f"{kind}/{kind}-{group}/{i}.png" for kind in ("ant", "bee") for group in range(8) for i in range(4))


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (FILMS, "subfolder"),
        ([f"{kind}/p{group}/{kind}.png" for kind in ("ant", "bee") for group in range(4)], None),  # one left for test
        (("ant/a.png", "ant/b.png", "bee/c.png", "bee/d.png"), None),
        (("ant/images/a.png", "ant/images/b.png", "bee/images/c.png", "bee/images/d.png"), None),  # nothing to part
    ],
)
def test_init_groups_by_folders_where_each_class_has_enough_of_them(
    tmp_path: Path, names: tuple[str, ...], group: str | None
) -> None:
    assert sketch_source(write(tmp_path, *names), "insects", "CC0").spec.group == group


def test_a_folder_above_the_classes_is_named(tmp_path: Path) -> None:
    write(tmp_path, "pictures/ant/a.png", "pictures/bee/a.png")
    with pytest.raises(UserError, match="if the folders in it are the classes, name it instead: .*/pictures$"):
        sketch_source(tmp_path, "insects", "CC0")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    root = write(tmp_path, *(f"{kind}/{number}.png" for kind in ("bus", "car", "train") for number in range(4)))
    assert sketch_source(root, "vehicles", "CC0").class_names == ("bus", "car", "train")
    assert count_loose_images(make_spec(root, None)) == 0


def test_splits_may_be_called_training_and_testing(tmp_path: Path) -> None:
    root = write(
        tmp_path, *(f"{split}/{kind}/{split}.png" for split in ("Training", "Testing") for kind in ("no", "yes"))
    )
    found = sketch_source(root, "tumours", "CC0")
    assert found.class_names == ("no", "yes") and found.spec.split == SplitRule(validation=0.15)


def test_what_systems_leave_in_class_folders_is_no_image(tmp_path: Path) -> None:
    spec = make_spec(write(tmp_path, "ant/a.png", "bee/b.png", "ant/@eaDir/thumb.png", "bee/.cache/b.png"), None)
    assert len(folder.list_files(spec)) == 2 and not folder.has_subfolders(spec)


def test_the_same_folders_in_each_class_are_noticed(tmp_path: Path) -> None:
    pair = [f"{kind}/{part}/{i}.png" for kind in ("covid", "normal") for part in ("images", "masks") for i in range(3)]
    assert folder.list_subfolders(make_spec(write(tmp_path / "pair", *pair))) == 2 * [{"images", "masks"}]
    found = growset(tmp_path, "init", str(tmp_path / "work"), "--source", str(tmp_path / "pair"))
    assert found.exit_code == 0 and "warning: each class folder has the same folders (images, masks)" in found.output
    write(tmp_path / "films", *FILMS)
    found = growset(tmp_path, "init", str(tmp_path / "other"), "--source", str(tmp_path / "films"))
    assert found.exit_code == 0 and "the same folders" not in found.output
    assert "images in one folder within a class folder stay together in one split" in found.output


@pytest.mark.parametrize("name", ["test/ant/p1/a.png", "train/.kept/a.png"])
def test_a_folder_without_training_images_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, "val/ant/b.png", "test/bee/b.png")
    with pytest.raises(UserError, match="has no training images; put them into train"):
        sketch_source(tmp_path, "insects", "CC0")


def test_test_groups_that_share_a_picture_are_one(tmp_path: Path) -> None:
    train = [f"train/{kind}/p{group}/{i}.png" for kind in ("ant", "bee") for group in range(3) for i in range(2)]
    root = write(tmp_path, *train, "val/ant/p3/a.png", "val/bee/p3/b.png", "test/ant/p4/a.png")
    (root / "test/bee/p5").mkdir(parents=True)
    (root / "test/bee/p5/copy.png").write_bytes((root / "test/ant/p4/a.png").read_bytes())
    with pytest.raises(UserError, match="all test images are of one group"):
        read_source(make_spec(root).model_copy(update={"allow_conflicts": True}))


def test_a_split_below_the_classes_and_a_loop_of_links_are_refused(tmp_path: Path) -> None:
    spec = make_spec(write(tmp_path / "below", "ant/train/a.png", "bee/train/a.png"))
    with pytest.raises(UserError, match="ant/train is the folder of a split in a class folder; splits lie above"):
        folder.list_splits(spec)
    spec = make_spec(write(tmp_path / "loop", "ant/p1/a.png", "bee/p2/a.png"))
    (tmp_path / "loop/ant/p1/more").symlink_to(tmp_path / "loop/bee/p2")
    assert len(folder.list_files(spec)) == 3  # a link to another folder is read as one
    (tmp_path / "loop/bee/p2/more").symlink_to(tmp_path / "loop/ant/p1")
    with pytest.raises(UserError, match="more links to a folder that it lies in; remove the link"):
        folder.list_splits(spec)


def test_a_group_in_two_splits_is_refused_and_init_does_not_make_one(tmp_path: Path) -> None:
    train = [f"train/{kind}/p{group}/{i}.png" for kind in ("ant", "bee") for group in range(3) for i in range(2)]
    root = write(tmp_path, *train, "val/ant/p3/a.png", "val/bee/p3/b.png", "test/ant/p1/a.png", "test/bee/p4/b.png")
    spec = make_spec(root)
    with pytest.raises(
        UserError, match=r"group p1 has images in train and in test, e\.g\. .*p1.*/test/ant/p1/a\.png; move"
    ):
        read_source(spec)
    assert recognise_source(root, "insects", "CC0").group is None
    (root / "test/ant/p1").rename(root / "test/ant/p4")
    with pytest.raises(UserError, match="all test images are of one group, p4, and a verdict needs two at least"):
        read_source(spec)
    write(root, *(f"unused/{number}.png" for number in range(30)), "test/ant/alone.png")
    assert set(read_source(spec).splits) == {"train", "validation", "test"}
    assert recognise_source(root, "insects", "CC0").group == "subfolder"


def test_images_in_no_group_are_apart(tmp_path: Path) -> None:
    names = [f"{kind}/{kind}-{number}.png" for kind in ("ant", "bee") for number in range(20)]
    spec = make_spec(write(tmp_path, *names, "ant/p1/a.png")).model_copy(
        update={"split": SplitRule(validation=0.2, test=0.3)}
    )
    assert read_source(spec).units == {}, "no group has two images"
    assert count_source(spec, DataSettings(), 0).groups == {"train": 21, "validation": 8, "test": 12}


def test_no_other_group_is_possible(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="group is patient, and folders have no columns; allowed: subfolder"):
        make_spec(tmp_path, "patient")


def test_a_plan_knows_about_how_many_groups_a_drawn_split_has(tmp_path: Path) -> None:
    names = [f"{kind}/{kind}-{group}/{i}.png" for kind in ("ant", "bee") for group in range(10) for i in range(3)]
    spec = make_spec(write(tmp_path, *names)).model_copy(update={"split": SplitRule(validation=0.15, test=0.25)})
    assert count_source(spec, DataSettings(), 0).groups == {"train": 12, "validation": 3, "test": 5}
    assert count_source(spec.model_copy(update={"group": None}), DataSettings(), 0).groups == {}
    chosen = DataSettings(classes=["bee", "cat"])
    write(tmp_path, *(f"cat/cat-{group}/{i}.png" for group in range(30) for i in range(2)))
    assert count_source(spec, chosen, 0).groups == {"train": 24, "validation": 6, "test": 10}


def test_the_key_changes_the_content_of_a_source(tmp_path: Path) -> None:
    spec = make_spec(write(tmp_path, *FILMS))
    assert hash_source(spec) != hash_source(spec.model_copy(update={"group": None}))


@pytest.mark.parametrize(
    ("train", "test"), [("training_set", "test_set"), ("train2017", "val2017"), ("Train Images", "test-images")]
)
def test_splits_may_be_called_training_set_and_test_set(tmp_path: Path, train: str, test: str) -> None:
    names = [f"{split}/{kind}/{split}.png" for split in (train, test) for kind in ("cat", "dog")]
    found = sketch_source(write(tmp_path / "splits", *names), "animals", "CC0")
    assert found.class_names == ("cat", "dog") and found.spec.split is not None
    loose = write(tmp_path / "loose", f"{train}/a.png", f"{test}/b.png")
    with pytest.raises(UserError, match="has 1 image side by side, and nothing says of which class each is"):
        sketch_source(loose, "animals", "CC0")


@pytest.mark.parametrize("names", [("train 1", "train 2"), ("train2017", "val2017", "bus"), ("trainer", "tester")])
def test_folders_that_are_no_clear_splits_are_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = write(tmp_path, *(f"{name}/p{i}/{name}.png" for name in names for i in range(2)))
    assert sketch_source(root, "trains", "CC0").class_names == tuple(sorted(names))
