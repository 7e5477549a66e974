"""`growset export`: the published dataset of a real chain in every format, and one sentence for impossible ones."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ops.datasets.pixels import read_split
from ops.exports.formats import FORMATS
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset


def test_every_format_reports_what_it_wrote_and_npz_is_the_dataset(finished_workspace: Path, tmp_path: Path) -> None:
    published = finished_workspace / "published" / "digits"
    train, test = (read_split(published / "data", split) for split in ("train", "test"))
    for name in FORMATS:
        folder = tmp_path / name
        result = growset(finished_workspace, "export", "digits", "--format", name, "--to", str(folder))
        assert result.exit_code == 0, result.output
        assert f"  {'train':<12} {len(train):>9,} images\n" in result.output
        assert f"digits: {name} in {folder}, " in result.output and " MB" in result.output
    with np.load(tmp_path / "npz" / "dataset.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["train_images"][..., None], train.images)
        np.testing.assert_array_equal(arrays["test_images"][..., None], test.images)
        np.testing.assert_array_equal(arrays["train_labels"][:, 0], train.labels)

    result = growset(
        finished_workspace, "export", "digits", "--format", "zip", "--to", str(tmp_path / "g"), "--only", "generated",
        "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["splits"] == {"train": int(train.rows["is_generated"].sum())}
    assert said["files"] == len(list((tmp_path / "g").iterdir())) == 3
    assert said["bytes"] == sum(path.stat().st_size for path in (tmp_path / "g").iterdir())
    assert (said["expansion"], said["format"], said["only"]) == ("digits", "zip", "generated")


def test_fiftyone_has_the_scores_if_they_are_here(finished_workspace: Path, tmp_path: Path) -> None:
    def export(folder: Path) -> tuple[list[dict[str, object]], str]:
        result = growset(finished_workspace, "export", "digits", "--format", "fiftyone", "--to", str(folder))
        assert result.exit_code == 0, result.output
        return json.loads((folder / "samples.json").read_text())["samples"], result.stderr

    samples, said = export(tmp_path / "with")
    assert "without scores" not in said
    generated = [sample for sample in samples if sample["is_generated"]]
    assert generated and all({"label_probability", "train_distance", "scorer"} <= sample.keys() for sample in generated)
    assert not any("label_probability" in sample for sample in samples if sample["split"] == "test")
    shutil.rmtree(finished_workspace / "data" / "digits" / "accepted_images")
    fewer, said = export(tmp_path / "without")
    assert "without scores: the filters' results" in said
    assert len(fewer) == len(samples) and not any("label_probability" in sample for sample in fewer)


def test_the_card_of_a_real_chain_holds_the_audit_and_the_arms(finished_workspace: Path) -> None:
    card = (finished_workspace / "published" / "digits" / "README.md").read_text()
    verdict = json.loads((finished_workspace / "published" / "digits" / "verdict.json").read_text())
    for row in verdict["arms"]:
        assert f"| {row['arm']}" in card
    assert "| almost a training image | distance below 0.3 |" in card
    assert "Safety: not checked." in card and "| = accepted |" in card
    assert "The closest image that was kept lies at distance " in card
    assert "as their owner states it: BSD-3-Clause." in card
    assert "`growset run digits`" in card


def test_help_names_every_format(tmp_path: Path) -> None:
    said = growset(tmp_path, "export", "--help").output
    assert all(name in said for name in FORMATS)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["digits", "--format", "npz"], 2, "holds no published dataset; `growset run digits` makes it"),
        (["digits", "--format", "tfrecord"], 2, "there is no export format 'tfrecord'; there are: huggingface"),
        (["digit", "--format", "npz"], 2, "did you mean 'digits'?"),
    ],
)
def test_an_impossible_export_is_one_sentence_and_writes_nothing(
    fresh_workspace: Path, tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    result = growset(fresh_workspace, "export", *arguments, "--to", str(tmp_path / "out"))
    assert result.exit_code == code, result.output
    assert sentence in result.output
    assert not (tmp_path / "out").exists()


def test_a_full_folder_is_left_alone_and_a_damaged_dataset_exits_4(finished_workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    arguments = ("export", "digits", "--format", "npz", "--to")
    result = growset(finished_workspace, *arguments, str(tmp_path / "full"))
    assert result.exit_code == 2
    assert "full is not empty; name a new or an empty folder" in result.output
    verdict = Workspace(finished_workspace).published("digits") / "verdict.json"
    text = verdict.read_text()
    verdict.unlink()  # it may be a link into DVC's cache
    verdict.write_text(text + " ")
    result = growset(finished_workspace, *arguments, str(tmp_path / "out"))
    assert result.exit_code == 4
    found = f"verdict.json has {len(text) + 1:,} bytes instead of {len(text):,}"
    assert f"{found}; `growset pull digits --only published`" in result.output
    assert not (tmp_path / "out").exists()
