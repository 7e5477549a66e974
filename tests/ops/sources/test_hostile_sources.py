"""Broken, misleading and malicious sources: one clear sentence, no code run, nothing unpacked."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import socket
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ops.errors import DamagedData, GrowsetError, UserError
from ops.sources import archives
from ops.sources.reading import hash_source, read_source
from ops.sources.spec import SourceSpec
from tests.sources import (
    CLASSES,
    make_cifar,
    make_folder,
    make_gtsrb,
    make_idx,
    make_metadata,
    make_npz,
    make_parquet,
    make_tiny_imagenet,
    make_truth,
    make_webdataset,
    make_zip,
    to_file,
    write,
    write_tar,
    write_zip,
)

TRUTH = make_truth()
IMAGE = to_file(TRUTH["train"][0][0])


def read(kind: str, path: Path, **keys: object) -> None:
    read_source(SourceSpec.model_validate({"name": "x", "kind": kind, "path": str(path), "licence": "M", **keys}))


def fail(kind: type[GrowsetError], words: str, *arguments: object, **keys: object) -> None:
    with pytest.raises(kind) as caught:
        read(*arguments, **keys)
    assert words in str(caught.value) and "\n" not in str(caught.value)


class Evil:
    """Unpickling it creates a file, which shows that its code ran."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "a/../../b.png", "..\\a.png", "C:/a.png"])
def test_members_that_lead_out_of_an_archive_are_refused(tmp_path: Path, name: str) -> None:
    write_tar(tmp_path / "train.tar", {name: IMAGE, "b.cls": b"0"})
    fail(UserError, "leads out of the archive; allowed: names below its top", "webdataset", tmp_path / "train.tar")
    write_zip(tmp_path / "train.zip", {name: IMAGE, "dataset.json": json.dumps({"labels": [[name, 0]]})})
    fail(UserError, "leads out of the archive; allowed: names below its top", "zip", tmp_path / "train.zip")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "train.tar", "w") as archive:
        entry = tarfile.TarInfo("a.png")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    fail(UserError, "'a.png' is a link or a device; allowed: files", "webdataset", tmp_path / "train.tar")


def test_links_and_encrypted_members_in_a_zip_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    fail(UserError, "'a.png' is a link; allowed: files", "zip", tmp_path / "link.zip")
    content = bytearray(write_zip(tmp_path / "secret.zip", {"a.png": IMAGE}).read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    write(tmp_path / "secret.zip", bytes(content))
    fail(UserError, "'a.png' is encrypted; allowed: plain files", "zip", tmp_path / "secret.zip")


def test_oversized_members_are_refused_before_they_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 10_000)
    members = {"a.png": b"\0" * 20_000, "dataset.json": json.dumps({"labels": [["a.png", 0], ["a.png", 1]]})}
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    words = "'a.png' unpacks to 20,000 bytes; allowed: 10,000"
    fail(UserError, words, "zip", tmp_path / "bomb.zip", split={"test": 0.3, "validation": 0.3}, class_names=["a", "b"])
    write_tar(tmp_path / "bomb.tar", {"a.png": b"\0" * 20_000, "a.cls": b"0"})
    fail(UserError, words, "webdataset", tmp_path / "bomb.tar")


def test_an_array_with_fewer_bytes_than_its_header_is_refused(tmp_path: Path) -> None:
    keys = make_npz(tmp_path, TRUTH)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (12, 6_000, 6_000)})
    with zipfile.ZipFile(keys["path"]) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    write_zip(keys["path"], members | {"train_images.npy": header.getvalue() + bytes(100)})
    fail(DamagedData, "pathmnist.npz, train_images: the file is cut off", "npz", keys["path"])
    huge = struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**15, 2**15)
    make_idx(tmp_path / "idx", make_truth(grey=True))
    write(tmp_path / "idx" / "train-images-idx3-ubyte.gz", gzip.compress(huge))
    fail(UserError, "train-images-idx3-ubyte.gz: its shape [2147483648, 32768, 32768] needs", "idx", tmp_path / "idx")
    short = struct.pack(">HBB3I", 0, 8, 3, 12, 32, 32) + bytes(100)
    write(tmp_path / "idx" / "train-images-idx3-ubyte.gz", gzip.compress(short))
    fail(
        DamagedData,
        "train-images-idx3-ubyte.gz: the file is cut off",
        "idx",
        tmp_path / "idx",
        split={"validation": 0.3},
    )
    write(tmp_path / "idx" / "train-images-idx3-ubyte.gz", gzip.compress(short)[:-30])
    fail(DamagedData, "train-images-idx3-ubyte.gz: cannot be read", "idx", tmp_path / "idx", split={"validation": 0.3})


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    evil = Evil(tmp_path / "ran")
    np.savez(tmp_path / "x.npz", image=TRUTH["train"][0], label=np.array([evil] * 12, object))
    words = "x.npz, label: the array holds pickled Python objects, which can run code; allowed: numbers and texts"
    fail(UserError, words, "npz", tmp_path / "x.npz")
    write(tmp_path / "cifar" / "data_batch_1", pickle.dumps(evil))
    words = "holds the Python version, whose pickles can run code; download the binary version, cifar-10-binary"
    fail(UserError, words, "cifar", tmp_path / "cifar")
    assert not (tmp_path / "ran").exists()


def test_archives_that_are_cut_off_or_changed_are_refused(tmp_path: Path) -> None:
    keys = make_webdataset(tmp_path / "web", TRUTH)
    path = min((tmp_path / "web").glob("train-*.tar"))
    content = path.read_bytes()
    write(path, content[: len(content) // 2])
    fail(DamagedData, "train-000000.tar", "webdataset", keys["path"])
    write(path, gzip.compress(content))
    fail(UserError, "is compressed; unpack it to a plain .tar first", "webdataset", keys["path"])
    keys = make_zip(tmp_path / "zip", TRUTH)
    path = tmp_path / "zip" / "train.zip"
    content = path.read_bytes()
    write(path, content[: len(content) // 2])
    fail(DamagedData, "train.zip: not a sound zip archive", "zip", tmp_path / "zip", class_names=list(CLASSES))
    damaged = bytearray(content)
    damaged[500] ^= 1
    write(path, bytes(damaged))
    fail(DamagedData, "train.zip, 00000/img00000000.png: cannot be unpacked", "zip", tmp_path / "zip")
    keys = make_cifar(tmp_path / "cifar", TRUTH)
    path = tmp_path / "cifar" / "data_batch_3.bin"
    write(path, path.read_bytes()[:-1])
    fail(DamagedData, "are not a whole number of records of 3073", "cifar", keys["path"], split={"validation": 0.2})
    path.unlink()
    fail(UserError, "has no data_batch_3.bin; expected the whole binary version", "cifar", keys["path"])


def test_a_flipped_byte_in_parquet_names_file_and_row_and_is_skipped_on_request(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    keys = make_parquet(tmp_path, {**TRUTH, "train": (images, TRUTH["train"][1])}, shards=1)
    path = tmp_path / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table, path, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    place = content.index(to_file(images[5])) + 1_000
    content[place] ^= 1
    write(path, bytes(content))
    fail(DamagedData, f"{path}, row 5: not a readable image", "parquet", keys["path"])
    spec = SourceSpec.model_validate({"name": "x", "licence": "M", **keys, "path": str(tmp_path), "skip_damaged": True})
    real = read_source(spec)
    assert len(real.splits["train"]) == 11 and real.conversions == {"skipped, because damaged": 1}
    assert real.splits["train"].labels.tolist() == [0, 1, 2, 0, 1, 0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (
            "file_name,label\n../../x.png,ant\n",
            UserError,
            "'../../x.png' leads out of the folder; allowed: names below",
        ),
        ("file_name,label\n/x.png,ant\n", UserError, "'/x.png' leads out of the folder; allowed: names below it"),
        ("file,label\nx.png,ant\n", UserError, "metadata.csv has no column file_name; it has file, label"),
        ("file_name,lable\nx.png,ant\n", UserError, "metadata.csv has no column label; it has file_name, lable"),
        ("file_name,label\nx.png,1.5\n", UserError, "labels are float64; allowed: whole numbers or texts"),
        ("file_name,label\nx.png,\n", DamagedData, "metadata.csv, row 1 below the header: label is missing"),
        ("file_name,label\npictures/0.png,3\n", UserError, "labels are texts in one split and numbers in another"),
        ('file_name,label\n"x.png,ant\n', DamagedData, "metadata.csv: cannot be read"),
        ("file_name,label,split\nx.png,ant,trian\n", UserError, "holds 'trian'; allowed: train, validation (or val)"),
    ],
)
def test_mistakes_in_a_table_are_named(tmp_path: Path, change: str, kind: type[GrowsetError], words: str) -> None:
    keys = make_metadata(tmp_path, TRUTH)
    if "split" in change:
        for split in TRUTH:
            (tmp_path / split / "metadata.csv").unlink()
        write(tmp_path / "metadata.csv", change)
    else:
        write(tmp_path / "train" / "metadata.csv", change)
    fail(kind, words, "metadata", keys["path"])


def test_missing_parts_of_published_layouts_are_named(tmp_path: Path) -> None:
    keys = make_metadata(tmp_path / "m", TRUTH)
    (tmp_path / "m" / "train" / "pictures" / "3.png").unlink()
    with pytest.raises(DamagedData, match=r"3.png does not exist, but the metadata names it"):
        from ops.sources.reading import hash_source

        hash_source(SourceSpec.model_validate({"name": "x", "licence": "M", **keys, "path": str(keys["path"])}))
    make_gtsrb(tmp_path / "g", TRUTH)
    (tmp_path / "g" / "GT-final_test.csv").unlink()
    fail(
        UserError,
        "GT-final_test.csv does not exist; expected the unpacked GTSRB_Final_Test_GT",
        "gtsrb",
        tmp_path / "g",
    )
    make_tiny_imagenet(tmp_path / "t", TRUTH)
    write(tmp_path / "t" / "val" / "val_annotations.txt", "val_99.JPEG\tn01443537\t0\t0\t1\t1\n")
    fail(DamagedData, "line 1: the image 'val_99.JPEG' is not in val/images", "tiny-imagenet", tmp_path / "t")
    make_zip(tmp_path / "z", TRUTH)
    write_zip(tmp_path / "z" / "train.zip", {"ant/a.png": IMAGE})
    fail(UserError, "holds no dataset.json with labels; unpack it, and name the folder", "zip", tmp_path / "z")
    write_zip(tmp_path / "z" / "train.zip", {"a.png": IMAGE, "dataset.json": '{"labels": null}'})
    fail(UserError, "the file has no labels; expected [[file, whole number], …]", "zip", tmp_path / "z")
    write_zip(tmp_path / "z" / "train.zip", {"a.png": IMAGE, "dataset.json": '{"labels": [["a.png", 1.5]]}'})
    fail(UserError, "the entry ['a.png', 1.5] is not a label; allowed: [file, whole number]", "zip", tmp_path / "z")
    write_tar(tmp_path / "w.tar", {"a.png": IMAGE})
    fail(
        UserError,
        "key a: label is None; allowed: a text or whole number of 64 bits in .cls or .json",
        "webdataset",
        tmp_path / "w.tar",
    )
    write(tmp_path / "n.npz", write_zip(tmp_path / "n.zip", {}).read_bytes())
    fail(UserError, "expected train_images and train_labels, or image and label", "npz", tmp_path / "n.npz")
    np.savez(tmp_path / "f.npz", image=TRUTH["train"][0] / 255, label=TRUTH["train"][1])
    fail(UserError, "the images are float64 [12, 32, 32, 3]; allowed: uint8", "npz", tmp_path / "f.npz")
    np.savez(tmp_path / "l.npz", image=TRUTH["train"][0], label=TRUTH["train"][1][:5])
    fail(DamagedData, "there are 5 labels for the 12 images of", "npz", tmp_path / "l.npz")
    keys = make_npz(tmp_path / "o", TRUTH)
    fail(DamagedData, "label 2 is not in 0 to 1", "npz", keys["path"], class_names=["a", "b"])


@pytest.mark.parametrize("names", [("Cat", "cat"), ("caf\u00e9", "CAFE\u0301"), ("ﬁsh", "fish")])
def test_class_names_that_only_look_different_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    for split in TRUTH:
        for i, name in enumerate(names):
            write(tmp_path / split / name / "a.png", to_file(TRUTH[split][0][i]))
    fail(UserError, "differ only in case or Unicode form; merge or rename them", "folder", tmp_path)


def test_names_of_all_kinds_are_fine(tmp_path: Path) -> None:
    names = ["plain", "two words", "quo'te\"s", "日本語", "ünï", "a,b;c", "[x]*?", "100%", "-r", "c#"]
    for split, seed in (("train", 0), ("val", 1), ("test", 2)):
        images = np.random.default_rng(seed).integers(0, 256, (len(names), 8, 8, 3), np.uint8)
        for name, image in zip(names, images, strict=True):
            write(tmp_path / split / name / f"{name}.png", to_file(image))
    spec = SourceSpec.model_validate({"name": "x", "kind": "folder", "path": str(tmp_path), "licence": "M"})
    assert set(read_source(spec).splits["train"].class_names) == {n for n in names}


def test_an_option_without_effect_is_refused(tmp_path: Path) -> None:
    keys = make_folder(tmp_path, TRUTH)
    fail(UserError, "it has a test split already; take test out of split:", "folder", keys["path"], split={"test": 0.1})
    (tmp_path / "val").mkdir()
    fail(UserError, "has both val and validation; expected one of the two", "folder", keys["path"])


@pytest.fixture(params=["folder", "metadata", "webdataset", "zip", "npz", "idx", "parquet"])
def layout(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, object], Path]:
    """A source and one of its files."""
    makers = {
        "folder": (make_folder, "train/ant/*.png"), "metadata": (make_metadata, "train/pictures/0.png"),
        "webdataset": (make_webdataset, "train-*.tar"), "zip": (make_zip, "train.zip"), "npz": (make_npz, "*.npz"),
        "idx": (lambda root, _: make_idx(root, make_truth(grey=True)), "train-images*"),
        "parquet": (make_parquet, "data/train-*.parquet"),
    }  # fmt: skip
    make, pattern = makers[request.param]
    keys = make(tmp_path / "source", TRUTH)
    return keys, min((tmp_path / "source").glob(pattern))


@pytest.mark.parametrize("what", ["pipe", "socket", "device", "nothing"])
def test_pipes_and_sockets_are_refused_without_waiting(
    layout: tuple[dict[str, object], Path], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, path = layout
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        monkeypatch.chdir(path.parent)  # the name of a socket is short
        socket.socket(socket.AF_UNIX).bind(path.name)
    else:
        path.symlink_to("/dev/zero" if what == "device" else "gone")
    spec = SourceSpec.model_validate({"name": "x", "licence": "M", **keys, "path": str(keys["path"])})
    for look in (hash_source, read_source):
        with pytest.raises(GrowsetError) as caught:
            look(spec)
        assert caught.value.exit_code in (2, 4) and "\n" not in str(caught.value)


def test_file_and_class_names_that_are_not_text_are_refused(tmp_path: Path) -> None:
    keys = make_folder(tmp_path, TRUTH)
    image, strange = min((tmp_path / "train" / "ant").iterdir()), os.fsencode(tmp_path) + b"/train/ant/\xe9.png"
    os.rename(image, strange)
    fail(UserError, "train/ant/\\udce9.png has a name that is not UTF-8; rename it", "folder", keys["path"])
    os.rename(strange, image)
    for split in TRUTH:
        os.rename(tmp_path / split / "ant", os.fsencode(tmp_path / split) + b"/\xe9")
    fail(UserError, "the class name '\\udce9' is not UTF-8 text; rename it", "folder", keys["path"])


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        ({"file_name": 7}, UserError, "file_name is Int64; allowed: names of files, as texts"),
        ({"file_name": {"a": 1}}, UserError, "file_name is Struct; allowed: names of files"),
        ({"file_name": ["a"]}, UserError, "file_name is List; allowed: names of files"),
        ({"file_name": "a\0.png"}, UserError, "'a\\x00.png' holds a zero character"),
        ({"file_name": "x" * 5_000}, DamagedData, "does not exist, but the metadata names it"),
        ({"file_name": "pictures"}, DamagedData, "is not a file, but the metadata names it"),
        ({"label": ["a"]}, UserError, "labels are List; allowed: whole numbers or texts"),
        ({"label": {"a": 1}}, UserError, "labels are Struct; allowed: whole numbers or texts"),
        ({"label": 2**64}, UserError, "labels are Int128; allowed: whole numbers or texts"),
        ({"label": True}, UserError, "labels are bool; allowed: whole numbers or texts"),
        ({"label": "a" * 1_001}, UserError, "has 1,001 characters; allowed: 1,000"),
        ({"patient": "b" * 1_001}, UserError, "has 1,001 characters; allowed: 1,000"),
    ],
)
def test_values_of_the_wrong_type_in_a_table_are_refused(
    tmp_path: Path, row: dict[str, object], kind: type[GrowsetError], words: str
) -> None:
    keys = make_metadata(tmp_path, TRUTH, "jsonl")
    grouped = {"group": "patient", "split": {"seed": 1, "test": 0.1}} if "patient" in row else {}
    write(tmp_path / "train" / "metadata.jsonl", json.dumps({"file_name": "pictures/0.png", "label": "a", **row}))
    spec = SourceSpec.model_validate({"name": "x", "licence": "M", **keys, "path": str(keys["path"]), **grouped})
    with pytest.raises(kind) as caught:
        hash_source(spec)
        read_source(spec)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_table_of_another_type_is_refused(tmp_path: Path) -> None:
    keys = make_metadata(tmp_path, TRUTH, "parquet")
    empty = pa.table({"file_name": pa.array([], pa.string()), "label": pa.array([], pa.float64())})
    pq.write_table(empty, tmp_path / "train" / "metadata.parquet")
    fail(UserError, "source x, train (empty): labels are float64; allowed: whole numbers", "metadata", keys["path"])


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("index", "kind", "words"),
    [
        ({"labels": 1}, UserError, "the file has no labels; expected [[file, whole number], …]"),
        ({"labels": [["a.png", 2**64]]}, UserError, "the entry ['a.png', 18446744073709551616] is not a label"),
        ({"labels": [["a.png", -(2**63) - 1]]}, UserError, "is not a label; allowed: [file, whole number]"),
        ({"labels": [["a.png", True]]}, UserError, "is not a label; allowed: [file, whole number]"),
        ({"labels": [[["x" * 10_000] * 100, 1]]}, UserError, "is not a label; allowed: [file, whole number]"),
        (None, DamagedData, "not valid JSON (it is nested too deeply)"),
    ],
)
def test_a_broken_index_of_a_zip_is_refused(
    tmp_path: Path, index: object, kind: type[GrowsetError], words: str
) -> None:
    text = DEEP if index is None else json.dumps(index)
    write_zip(tmp_path / "train.zip", {"a.png": IMAGE, "dataset.json": text})
    with pytest.raises(kind) as caught:
        read("zip", tmp_path / "train.zip")
    assert words in str(caught.value) and len(str(caught.value)) < 1_000 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("members", "kind", "words"),
    [
        ({"a.cls": b"9" * 5_000}, UserError, "label is 999999999999999999999; allowed: a text or whole number of 64"),
        ({"a.cls": b"-" + b"9" * 20}, UserError, "allowed: a text or whole number of 64 bits"),
        ({"a.cls": b"x" * 1_001}, UserError, "allowed: a text or whole number of 64 bits"),
        ({"a.json": b'{"label": 99999999999999999999}'}, UserError, "label is 99999999999999999999; allowed"),
        ({"a.json": b'{"label": [[[]]]}'}, UserError, "label is [[[]]]; allowed: a text or whole number"),
        ({"a.json": b'{"label": 1.0}'}, UserError, "label is 1.0; allowed: a text or whole number"),
        ({"a.json": DEEP.encode()}, DamagedData, "a.json: not valid JSON (it is nested too deeply)"),
        ({"a.json": b"\xff"}, DamagedData, "a.json: not valid JSON"),
    ],
)
def test_broken_labels_of_a_tar_are_refused(
    tmp_path: Path, members: dict[str, bytes], kind: type[GrowsetError], words: str
) -> None:
    write_tar(tmp_path / "train.tar", {"a.png": IMAGE, **members})
    fail(kind, words, "webdataset", tmp_path / "train.tar")


def test_a_text_that_begins_like_a_number_is_a_label(tmp_path: Path) -> None:
    samples = {}
    for i, image in enumerate(TRUTH["train"][0]):
        samples |= {f"{i}.png": to_file(image), f"{i}.cls": b"--5" if i % 2 else b"-5"}
    write_tar(tmp_path / "train.tar", samples)
    keys = {"name": "x", "kind": "webdataset", "path": str(tmp_path / "train.tar"), "licence": "M"}
    spec = SourceSpec.model_validate({**keys, "split": {"validation": 0.3, "test": 0.3}})
    assert read_source(spec).splits["train"].class_names == ("--5", "-5")


def test_numbers_of_different_types_keep_their_names(tmp_path: Path) -> None:
    arrays = {}
    for split, kind in (("train", np.uint64), ("val", np.int64), ("test", np.int8)):
        images, labels = TRUTH["validation" if split == "val" else split]
        arrays |= {f"{split}_images": images, f"{split}_labels": labels.astype(kind)}
    np.savez(tmp_path / "x.npz", **arrays)
    spec = SourceSpec.model_validate({"name": "x", "kind": "npz", "path": str(tmp_path / "x.npz"), "licence": "M"})
    assert read_source(spec).splits["train"].class_names == ("0", "1", "2")
    arrays["train_labels"] = np.full(12, 2**63, np.uint64)
    np.savez(tmp_path / "x.npz", **arrays)
    words = "row 0: the label 9223372036854775808 is too large; allowed: up to 9223372036854775807"
    fail(UserError, words, "npz", tmp_path / "x.npz")


def test_an_array_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    """A compressed megabyte can unpack to a gigabyte, so the size is checked before reading."""
    make_idx(tmp_path, make_truth(grey=True))
    one = struct.pack(">HBB3I", 0, 8, 3, 1, 2**15, 2**15)
    write(tmp_path / "train-images-idx3-ubyte.gz", gzip.compress(one))
    fail(UserError, "one image has 1,073,741,824 bytes; allowed: 268,435,456", "idx", tmp_path)
    labels = struct.pack(">HBB1I", 0, 8, 1, 2**31)
    make_idx(tmp_path, make_truth(grey=True))
    write(tmp_path / "train-labels-idx1-ubyte.gz", gzip.compress(labels))
    fail(UserError, "is too large for labels; allowed: 1,073,741,824 bytes", "idx", tmp_path)
