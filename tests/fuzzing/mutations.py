"""Ways to break a file or a folder of a source: bytes, structure, types, names and sizes.

Every function changes something at random and says what, in words that name a case.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzzing.values import NAMES, Draw, draw_value, mutate_tree, write_value

WORDS = (
    b"\0" * 4,
    b"\xff" * 4,
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\0\0\x80",
    b"\x01\0\0\0",
    b"PK\x03\x04",
)


def mutate_bytes(draw: Draw, content: bytes) -> bytes:
    """Some bytes changed, taken away, doubled or added; towards the ends more often, where headers and tables lie."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 5, 50])):
        end = len(data)
        near = draw.choice([end, min(end, 64), min(end, 512)])
        place = draw.randrange(near + 1) if draw.random() < 0.7 else end - draw.randrange(near + 1)
        kind = draw.randrange(8)
        if kind == 0 and place < end:
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[place:]
        elif kind == 2:
            del data[place : place + draw.choice([1, 4, 100])]
        elif kind == 3:
            data[place:place] = draw.randbytes(draw.choice([1, 4, 100]))
        elif kind == 4:
            word = draw.choice(WORDS)
            data[place : place + len(word)] = word
        elif kind == 5:
            length = draw.choice([16, 512, 4_096])
            data[place:place] = data[place : place + length]
        elif kind == 6:
            data += draw.randbytes(draw.choice([1, 1_000]))
        else:
            length = draw.choice([4, 64])
            data[place : place + length] = draw.randbytes(length)
    return bytes(data)


def break_bytes(draw: Draw, path: Path) -> str:
    path.write_bytes(mutate_bytes(draw, path.read_bytes()))
    return f"bytes of {path.name}"


def replace_content(draw: Draw, path: Path) -> str:
    """By nothing, noise, or what another file holds."""
    others = [other for other in path.parent.iterdir() if other.is_file()]
    content = draw.choice([b"", draw.randbytes(500), draw.choice(others).read_bytes(), b"\x80\x04c" + b"os\nsystem\n."])
    path.write_bytes(content)
    return f"content of {path.name}"


def replace_by_no_file(draw: Draw, path: Path) -> str:
    path.unlink()
    kind = draw.choice(["nothing", "folder", "pipe", "device", "loop", "dangling", "outside"])
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "nothing":
        targets = {"device": "/dev/zero", "loop": path.name, "dangling": "gone", "outside": "/etc/passwd"}
        path.symlink_to(targets[kind])
    return f"{kind} for {path.name}"


def rename(draw: Draw, path: Path) -> str:
    target = os.fsencode(path.parent) + b"/" + draw.choice(NAMES)
    if os.path.lexists(target):
        return f"{path.name} keeps its name"
    os.rename(path, target)
    return f"{path.name} is {target.rpartition(b'/')[2]!r}"


def rename_folder(draw: Draw, path: Path) -> str:
    return rename(draw, path.parent) if path.parent.name != "case" else f"the folder of {path.name} stays"


def double(draw: Draw, path: Path) -> str:
    target = path.with_name(f"{draw.choice(['0', 'copy', 'train', 'z'])}{path.suffix}")
    if not os.path.lexists(target):
        shutil.copyfile(path, target)
    return f"{path.name} twice"


def break_csv(draw: Draw, path: Path) -> str:
    """A cell, a row, a column or the sign between them."""
    mark = ";" if ";" in path.read_text(encoding="utf-8").splitlines()[0] else ","
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8")), delimiter=mark))
    row = draw.choice(rows)
    kind = draw.randrange(5)
    if kind == 0:
        row[draw.randrange(len(row))] = str(draw_value(draw)).encode("utf-8", "replace").decode()
    elif kind == 1:
        row.append("more")
    elif kind == 2:
        row.clear()
    elif kind == 3:
        place = draw.randrange(len(rows[0]))
        value = str(draw_value(draw)).encode("utf-8", "replace").decode()
        for each in rows[1:]:
            each[place : place + 1] = [value]
    else:
        rows *= draw.choice([0, 2, 50])
    text = io.StringIO()
    csv.writer(text, delimiter=draw.choice([mark, mark, mark, "\t"])).writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")
    return f"cells of {path.name}"


def break_json_lines(draw: Draw, path: Path) -> str:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    everywhere = draw.random() < 0.3
    key, value = draw.choice(list(rows[0])), draw_value(draw)
    place = draw.randrange(len(rows))
    lines = [json.dumps({**row, key: value} if everywhere or i == place else row) for i, row in enumerate(rows)]
    if draw.random() < 0.3:
        lines[place] = write_value(draw, value)
    elif draw.random() < 0.2:
        lines[place] = lines[place].replace('"label": ', '"label": ' + "[" * draw.choice([10, 500, 5_000]))
    path.write_text("\n".join(lines), encoding="utf-8")
    return f"{key} of {path.name}"


def break_text(draw: Draw, path: Path) -> str:
    lines = path.read_bytes().split(b"\n")
    place = draw.randrange(len(lines))
    value = str(draw_value(draw)).encode("utf-8", "surrogatepass")
    lines[place : place + draw.randrange(2)] = [
        draw.choice([value, b"\t".join([value, lines[place]]), b"\xff\xfe", b""])
    ]
    path.write_bytes(b"\n".join(lines))
    return f"a line of {path.name}"


def mutate_member(draw: Draw, name: str, content: bytes) -> tuple[str, bytes]:
    """A file in an archive: its name, or its content by what it is."""
    kind = draw.random()
    if kind < 0.15:
        names = [
            "../x.png",
            "/x.png",
            "a//b.png",
            ".",
            "",
            "a\\..\\b",
            "C:x",
            "a\0b",
            "é.png",
            "x" * 300,
            name.upper(),
            f"{name}/",
        ]
        return draw.choice(names), content
    if name.endswith(".json") and kind < 0.8:
        return name, write_value(draw, mutate_tree(draw, json.loads(content))).encode("utf-8", "surrogatepass")
    if name.endswith(".cls") and kind < 0.8:
        return name, str(draw_value(draw)).encode("utf-8", "surrogatepass")
    if name.endswith(".npy") and kind < 0.8:
        return name, write_array(draw, content)
    return name, mutate_bytes(draw, content)


def write_array(draw: Draw, content: bytes) -> bytes:
    """An .npy whose header promises something else, or whose array is of another type or shape."""
    array = np.load(io.BytesIO(content))
    if draw.random() < 0.5:
        shapes = [
            (len(array) + 1, *array.shape[1:]),
            (-1,),
            (2**62,),
            (2**40, 2**40),
            (0,),
            (),
            (12, 60_000, 60_000),
            (True,),
        ]
        kinds = [
            "|u1",
            "<f8",
            "|O",
            "|V0",
            "<U0",
            "|S3",
            "<i8",
            "<M8[ns]",
            "|b1",
            [("a", "<i4")],
            "<U99999999",
            "nonsense",
        ]
        header = {"descr": draw.choice(kinds), "fortran_order": draw.random() < 0.2, "shape": draw.choice(shapes)}
        text = repr(header if draw.random() < 0.8 else draw.choice(["(" * 500, "{", {"shape": 1}, 0])).encode()
        return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + content[128:]
    stream = io.BytesIO()
    kind = draw.choice([np.float32, np.uint64, np.int64, np.bool_, "U5", "S5", np.uint8, np.complex64])
    changed = array.astype(kind).reshape(draw.choice([array.shape, (-1,), (1, *array.shape), array.shape[::-1]]))
    np.save(stream, changed if draw.random() < 0.8 else np.asfortranarray(changed))
    return stream.getvalue()


def break_zip(draw: Draw, path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    place = draw.randrange(len(members)) if draw.random() < 0.4 else _index_of(members, ".json", ".npy")
    members[place : place + 1] = [mutate_member(draw, *members[place])] * draw.choice([1, 1, 1, 2, 0])
    packing = draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name) if name else "empty", content)
    if draw.random() < 0.2:
        path.write_bytes(mutate_bytes(draw, path.read_bytes()))
    return f"member {place} of {path.name}"


def _index_of(members: list[tuple[str, bytes]], *ends: str) -> int:
    return next((i for i, (name, _) in enumerate(members) if name.endswith(ends)), 0)


def break_tar(draw: Draw, path: Path) -> str:
    with tarfile.open(path) as archive:
        members = [(entry.name, archive.extractfile(entry).read()) for entry in archive]
    chosen = draw.randrange(len(members))
    kinds = [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.DIRTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Q",
    ]
    with tarfile.open(
        path, "w", format=draw.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    ) as archive:
        for place, (name, content) in enumerate(members):
            entry = tarfile.TarInfo(name)
            if place == chosen:
                name, content = mutate_member(draw, name, content)
                entry = tarfile.TarInfo(name[:90])
                if draw.random() < 0.2:
                    entry.type, entry.linkname = draw.choice(kinds), "/etc/passwd"
                if draw.random() < 0.1 and archive.format == tarfile.PAX_FORMAT:
                    entry.pax_headers = {"size": draw.choice(["-1", "x", "9" * 40, "1e3"]), "path": "../../x"}
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content) if entry.size else None)
    if draw.random() < 0.3:
        path.write_bytes(mutate_bytes(draw, path.read_bytes()))
    return f"member {chosen} of {path.name}"


def break_parquet(draw: Draw, path: Path) -> str:
    """Another type, a gap, another name, another list of classes."""
    table = pq.read_table(path)
    name = draw.choice(table.column_names)
    place, values = table.column_names.index(name), table.column(name).to_pylist()
    n = len(values)
    columns: list[pa.Array] = [
        pa.array([1.5] * n), pa.array([True] * n), pa.array([[1]] * n), pa.array([{"a": 1}] * n), pa.array([None] * n),
        pa.array([b"x"] * n), pa.array([2**64 - 1] * n, pa.uint64()), pa.array(["x" * 2_000] * n),
        pa.array(["a\0"] * n),
        pa.array(["a", "b"] * n)[:n].dictionary_encode(), pa.array([0] * n, pa.timestamp("ns")), pa.array(range(n)),
        pa.array([{"bytes": None, "path": None}] * n, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.array([{"bytes": "x", "path": "y"}] * n), pa.array([-1] * n), pa.nulls(n),
    ]  # fmt: skip
    kind = draw.randrange(6)
    if kind < 3:
        table = table.set_column(place, name, draw.choice(columns))
    elif kind == 3:
        table = table.drop_columns([name])
    elif kind == 4:
        table = table.rename_columns(
            [draw.choice(["x", "label", "image"]) if c == name else c for c in table.column_names]
        )
    else:
        facts = mutate_tree(draw, json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}")))
        text = write_value(draw, facts).encode("utf-8", "surrogatepass")
        table = table.replace_schema_metadata({b"huggingface": text})
    pq.write_table(table.slice(0, draw.choice([n, n, n, 0, 1])), path)
    return f"column {name} of {path.name}"


def break_gzip(draw: Draw, path: Path) -> str:
    """What is packed, not the packing."""
    path.write_bytes(gzip.compress(mutate_bytes(draw, gzip.decompress(path.read_bytes())), 1))
    return f"what {path.name} packs"


ANY: tuple[Callable[[Draw, Path], str], ...] = (
    break_bytes,
    break_bytes,
    replace_content,
    replace_by_no_file,
    rename,
    rename_folder,
    double,
)
BY_SUFFIX: dict[str, Callable[[Draw, Path], str]] = {
    ".csv": break_csv, ".jsonl": break_json_lines, ".txt": break_text, ".zip": break_zip, ".npz": break_zip,
    ".tar": break_tar, ".parquet": break_parquet, ".gz": break_gzip,
}  # fmt: skip


def break_source(draw: Draw, root: Path) -> str:
    """Break one to three files below `root`; says what was done."""
    told = []
    whole = {path for path in root.rglob("*") if path.is_file()}  # what a breaker of its format can still read
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
        special = [path for path in files if path.suffix in BY_SUFFIX]
        if not files:
            break
        path = draw.choice(special if special and draw.random() < 0.6 else files)
        fits = path in whole and path.suffix in BY_SUFFIX
        how = BY_SUFFIX[path.suffix] if fits and draw.random() < 0.6 else draw.choice(ANY)
        told.append(how(draw, path))
        whole.discard(path)
    return "; ".join(told)
