"""Planted damage of every kind in a whole workspace: `verify` finds each, names the file and the repair."""

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ops.datasets.pixels import PixelDataset, read_shards, write_shards
from ops.errors import UserError
from ops.files.manifests import MANIFEST, describe_output, read_manifest, seal
from ops.files.storage import read_json, write_json
from ops.recipe.fingerprints import stage_fingerprint
from ops.recipe.stages import STAGES
from ops.verification.findings import Finding, Subject
from ops.verification.verification import check_meaning, verify
from ops.workspaces.workspace import Workspace
from tests.damage import DAMAGES, find_cached, find_object, find_sent, flip
from tests.workspaces import run

REAL = "real_images/train-00000-of-00001.parquet"
GENERATED = "generated_images/generated-00000-of-00001.parquet"
PULL, RUN, PUSH = "growset pull digits", "growset run digits", "growset push digits"


@pytest.fixture(scope="session")
def _stored(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished workspace, with everything in a remote."""
    from ops.chain.publishing import publish

    folder = tmp_path_factory.mktemp("stored")
    root = shutil.copytree(_finished, folder / "workspace", symlinks=True)
    run(root, "dvc", "remote", "add", "--default", "storage", "../storage")
    publish(Workspace(root), "digits")
    return folder


@pytest.fixture
def root(_stored: Path, tmp_path: Path) -> Path:
    shutil.copytree(_stored, tmp_path, symlinks=True, dirs_exist_ok=True)
    return tmp_path / "workspace"


def find(root: Path, *, remote: bool = False) -> list[Finding]:
    return verify(Workspace(root), "digits", remote=remote, workers=1).findings


def the_one(root: Path, *, remote: bool = False) -> Finding:
    (finding,) = find(root, remote=remote)
    return finding


def data(root: Path, name: str) -> Path:
    return root / "data" / "digits" / name


def reseal(folder: Path) -> None:
    """Make the manifest match the present files, so that only the content of the files is wrong."""
    manifest = read_manifest(folder)
    said = {key: value for key, value in manifest.items() if key not in ("content", "files", "seal")}
    new = describe_output(folder, {}, manifest["metrics"])
    write_json(folder / MANIFEST, seal({**said, "content": new["content"], "files": new["files"]}))


def edit_index(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    frame = change(pl.read_parquet(path))
    path.unlink()
    frame.write_parquet(path)
    reseal(path.parent)


def edit_images(path: Path, change: Callable[[PixelDataset], PixelDataset]) -> None:
    changed, prefix = change(read_shards([path])), path.name.split("-")[0]
    path.unlink()
    write_shards(path.parent, changed, prefix=prefix)
    reseal(path.parent if (path.parent / MANIFEST).exists() else path.parents[1])


def meanings(root: Path, where: Path) -> list[str]:
    """The findings on a file of all checks that look at more than bytes."""
    findings, _ = check_meaning(Subject(Workspace(root), "digits"), workers=1)
    return [each.what for each in findings if each.where == where]


@pytest.fixture
def outputs(_finished: Path, tmp_path: Path) -> Path:
    """The outputs and the published dataset only."""
    for name in ("data", "published"):
        shutil.copytree(_finished / name, tmp_path / name)
    return tmp_path


def test_an_untouched_workspace_is_clean_with_and_without_its_remote(root: Path) -> None:
    said: list[str] = []
    found = verify(Workspace(root), "digits", workers=1, sink=said.append, report_every=0.0)
    assert (found.findings, found.unreachable) == ([], None)
    images = sum(
        read_manifest(data(root, "real_images"))["metrics"][split] for split in ("train", "validation", "test")
    )
    assert found.counts["outputs"] == len(STAGES) + 1 and found.counts["images"] > 2 * images
    assert {line.partition(":")[0] for line in said} == {"verify", "files", "images", "cache", "remote"}


FILES = (REAL, GENERATED, "accepted_images/index.parquet", "mixed_dataset/index.parquet", "generator/model.safetensors",
         "generator_onnx/net.onnx", "accepted_images/rules.json", "verdict/verdict.json", "verdict/runs.parquet",
         "report/report.html", "scorer/manifest.json", "real_images/manifest.json")  # fmt: skip


SLOW = [name if name == "flip" else pytest.param(name, marks=pytest.mark.slow) for name in DAMAGES]


@pytest.mark.parametrize("damage", SLOW)
def test_every_damaged_file_is_named(root: Path, damage: str) -> None:
    """All at once, in every stage and in the published dataset; each is reported once, and nothing else is."""
    published = root / "published" / "digits"
    paths = [*(data(root, name) for name in FILES), published / "verdict.json", published / "README.md"]
    paths = [path for path in paths if path.exists()]
    assert len(paths) >= 12
    for path in paths:
        DAMAGES[damage](path)
    findings = find(root)
    named = {each.where for each in findings}
    gone = {path for path in paths if path.name == MANIFEST} if damage == "delete" else set()
    assert named >= set(paths) - gone
    assert {each.repair for each in findings if each.where in paths} == {PULL}


def test_a_damaged_pixel_is_found_in_its_row(root: Path) -> None:
    path = data(root, REAL)
    content = bytearray(path.read_bytes())
    at = content.index(b"IDAT", len(content) // 4) + 40
    content[at] ^= 1
    path.unlink()
    path.write_bytes(content)
    whats = [each.what for each in find(root) if each.where == path]
    assert "does not hold the bytes that were written" in whats
    assert any(what.startswith("row ") and "checksum" in what for what in whats)


def test_an_extra_file_is_found(root: Path) -> None:
    (data(root, "scorer") / "extra.bin").write_bytes(b"what is this")
    assert the_one(root).where == data(root, "scorer/extra.bin")


def test_a_missing_output_is_found(root: Path) -> None:
    shutil.rmtree(data(root, "generator_onnx"))
    findings = find(root)
    assert findings and all(each.where.is_relative_to(data(root, "generator_onnx")) for each in findings)
    assert {each.what for each in findings} == {"is missing"}


def set_row(row: int, column: str, value: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    there = pl.int_range(pl.len()) == row
    return lambda frame: frame.with_columns(pl.when(there).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))


def swap(rows: int = 2) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: pl.concat([frame[1:rows], frame[:1], frame[rows:]])


def shuffle(dataset: PixelDataset) -> PixelDataset:
    """Swap the first two rows, with pixels and labels."""
    order = [1, 0, *range(2, len(dataset))]
    return dataset.select(order)


def exchange_pixels(dataset: PixelDataset) -> PixelDataset:
    images = dataset.images.copy()
    first, other = 0, int((images != images[0]).any((1, 2, 3)).argmax())
    images[[first, other]] = images[[other, first]]
    return PixelDataset(images, dataset.rows, dataset.class_names)


def relabel(dataset: PixelDataset) -> PixelDataset:
    rows = dataset.rows.with_columns(
        label=pl.when(pl.int_range(pl.len()) == 0).then(1 - pl.col("label")).otherwise("label")
    )
    return PixelDataset(dataset.images, rows, dataset.class_names)


def test_untouched_outputs_have_no_findings(outputs: Path) -> None:
    assert check_meaning(Subject(Workspace(outputs), "digits"), workers=1)[0] == []


def test_swapped_rows_of_a_shard_are_found_by_the_index(outputs: Path) -> None:
    edit_images(data(outputs, GENERATED), shuffle)
    (what, *_) = meanings(outputs, data(outputs, "accepted_images/index.parquet"))
    assert "places image" in what and "in row 0 of generated-00000-of-00001.parquet; it is row 1" in what


def test_exchanged_pixels_are_found_in_real_and_in_published_images(outputs: Path) -> None:
    edit_images(data(outputs, REAL), exchange_pixels)
    (what,) = meanings(outputs, data(outputs, REAL))
    assert what == "has an image whose content does not match its image_id, in row 0"


def test_exchanged_generated_pixels_are_found_in_the_published_dataset(outputs: Path) -> None:
    kept = pl.read_parquet(data(outputs, "accepted_images/index.parquet")).filter("keep")["row"][:2].to_list()

    def exchange(dataset: PixelDataset) -> PixelDataset:
        images = dataset.images.copy()
        images[kept] = images[kept[::-1]]
        return PixelDataset(images, dataset.rows, dataset.class_names)

    edit_images(data(outputs, GENERATED), exchange)
    (what,) = meanings(outputs, outputs / "published" / "digits" / "data")
    assert what.startswith("has other train images: row ") and what.endswith("differs in digest")


def give_parent(dataset: PixelDataset) -> PixelDataset:
    return PixelDataset(dataset.images, set_row(0, "parent_id", "f00d")(dataset.rows), dataset.class_names)


def test_an_unknown_parent_is_found(outputs: Path) -> None:
    edit_images(data(outputs, GENERATED), give_parent)
    assert meanings(outputs, data(outputs, GENERATED)) == ["row 0 has the parent f00d, which is not a training image"]
    edit_images(data(outputs, REAL), give_parent)
    (what,) = meanings(outputs, data(outputs, "real_images"))
    assert what.startswith("cannot be read: ") and "draws.parquet does not exist" in what


def test_changed_images_match_the_record_of_draws(tmp_path: Path) -> None:
    from ops.datasets.subset import change_splits
    from ops.recipe.data import DataSettings
    from tests.workspaces import digit_splits

    subset = change_splits(digit_splits(), DataSettings(label_noise=0.3), seed=0)
    folder = tmp_path / "data" / "digits" / "real_images"
    for split, dataset in subset.splits.items():
        write_shards(folder, dataset, prefix=split)
    subject = Subject(Workspace(tmp_path), "digits")

    def describe(draws: pl.DataFrame) -> list[str]:
        (folder / "draws.parquet").unlink(missing_ok=True)
        draws.write_parquet(folder / "draws.parquet")
        identity = {"stage": "real_images", "version": 1, "settings": {}, "inputs": {}}
        identity["fingerprint"] = stage_fingerprint("real_images", 1, {}, {})
        write_json(folder / MANIFEST, describe_output(folder, identity, {}))
        return [each.what for each in check_meaning(subject, workers=1)[0]]

    assert describe(subset.draws) == []
    (what,) = describe(set_row(5, "source_id", "f00d")(subset.draws))
    assert what.startswith("does not record that image ")


def test_a_wrong_label_is_found(outputs: Path) -> None:
    edit_images(data(outputs, GENERATED), relabel)
    (what, *_) = meanings(outputs, data(outputs, "accepted_images/index.parquet"))
    assert "row 0 gives image" in what and "label" in what


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("mixed_dataset", set_row(3, "image_id", "g9-0000000"), "which does not exist"),
        ("mixed_dataset", lambda f: f.with_columns(row=pl.col("row") + 1000), "places image"),
        ("mixed_dataset", lambda f: f.with_columns(label=1 - pl.col("label")), "such rows)"),
        ("mixed_dataset", set_row(2, "weight", float("nan")), "row 2 has the weight nan"),
        ("mixed_dataset", lambda f: f.with_columns(weight=-pl.col("weight")), "finite and positive"),
        ("mixed_dataset", lambda f: pl.concat([f, f[-1:]]), "more than once"),
        ("mixed_dataset", lambda f: f[1:], "does not name the real training images"),
        ("mixed_dataset", swap(), "does not name the real training images in their order"),
        ("accepted_images", lambda f: f[1:], "lacks 1 generated images"),
        ("accepted_images", lambda f: f.with_columns(shard=pl.lit("nowhere.parquet")), "places image"),
        ("accepted_images", lambda f: f.drop("keep"), "cannot be read"),
    ],
)  # fmt: skip
def test_wrong_references_of_an_index_are_found(
    outputs: Path, name: str, change: Callable[[pl.DataFrame], pl.DataFrame], words: str
) -> None:
    path = data(outputs, f"{name}/index.parquet")
    edit_index(path, change)
    found = meanings(outputs, path) + meanings(outputs, path.parent)
    assert any(words in each for each in found), found


def test_an_edited_verdict_is_found_even_with_a_new_seal(outputs: Path) -> None:
    path = data(outputs, "verdict/verdict.json")
    edited = read_json(path) | {"decision": "helps", "sentence": "Expansion helps by 66.3 points."}
    write_json(path, edited)
    reseal(path.parent)
    assert "differs from its manifest" in meanings(outputs, path)
    published = outputs / "published" / "digits" / "verdict.json"
    assert any("differs from the verdict in" in each for each in meanings(outputs, published))
    report = data(outputs, "report") / MANIFEST
    assert "records that report was made from another verdict than the present one" in meanings(outputs, report)


def test_a_manifest_with_a_wrong_fingerprint_is_found(outputs: Path) -> None:
    path = data(outputs, "scorer") / MANIFEST
    manifest = read_json(path)
    manifest["settings"]["scorer"]["steps"] += 1
    write_json(path, seal(manifest))
    assert "has a fingerprint that does not follow from its settings, version and inputs" in meanings(outputs, path)


@pytest.mark.parametrize("damage", SLOW)
def test_damaged_objects_of_the_cache_are_found(root: Path, damage: str) -> None:
    files = [f"data/digits/{REAL}", "data/digits/scorer", "published/digits/README.md"]
    paths = [find_cached(root, file) for file in files]
    for path in paths:
        DAMAGES[damage](path)
    findings = find(root)
    assert {each.where for each in findings} == set(paths) and {each.repair for each in findings} == {PULL}
    for file, path in zip(files, paths, strict=True):
        assert str(root / file) in next(each.what for each in findings if each.where == path)


@pytest.mark.parametrize("damage", SLOW)
def test_a_damaged_object_of_the_remote_is_found(root: Path, tmp_path: Path, damage: str) -> None:
    DAMAGES[damage](find_sent(tmp_path / "storage", root, f"data/digits/{REAL}"))
    finding = the_one(root, remote=True)
    assert (finding.where, finding.repair) == (data(root, REAL), PUSH)
    assert finding.what.startswith("in the remote 'storage': ")


def test_verifying_changes_nothing(root: Path, tmp_path: Path) -> None:
    flip(find_cached(root, f"data/digits/{REAL}"))
    oid = find_object(root, "data/digits/scorer")
    flip(root / ".dvc" / "cache" / "files" / "md5" / oid[:2] / oid[2:])

    def state() -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes())
            for folder in (root / "data", root / "published", root / ".dvc" / "cache", tmp_path / "storage")
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    before = state()
    assert len(find(root, remote=True)) >= 2
    assert state() == before


def test_an_expansion_without_outputs_cannot_be_verified(fresh_workspace: Path) -> None:
    with pytest.raises(UserError, match="'digits' has no outputs to verify; `growset run digits` makes them"):
        verify(Workspace(fresh_workspace), "digits")
