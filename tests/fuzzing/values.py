"""Values that people and programs leave where others were meant, as JSON and YAML can hold them."""

from __future__ import annotations

import json
import random
from typing import Any

Draw = random.Random

DEEP = 1_200  # levels: more than Python's recursion allows
PLAIN: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 255, 256, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 0.5, 1.5, -0.0, 1e308,
    "", " ", "a", "0", "-5", "--5", "1.5", "nan", "null", "None", "true", "a\nb", "a\tb", "\r", "é", "e\u0301",
    "\u202eabc",
    "\0", "a\0b", "\ud800", "../x", "../../../../etc/passwd", "/etc/passwd", "C:\\x", "~", "=cmd|'x'!A0", "<script>",
    "s3://key:secret@bucket/x", "file:///etc/passwd", "2024-13-45", "9" * 30, "9" * 5_000, "x" * 300, "x" * 5_000,
    "*", "%s{}",
    [], {}, [[]], [None], [1, "a"], ["a", "a"], {"a": 1}, {"": None}, [["a.png", 0]], "train", "label", "file_name",
)  # fmt: skip
NAMES: tuple[bytes, ...] = (
    b"a", b" ", b".hidden", b"a.png", b"a.PNG", b"a.jpg", b"a.gif", b"a.tar", b"a.zip", b"a.npz", b"a.parquet",
    b"\xff\xfe",
    b"\xe9.png", b"e\xcc\x81.png", b"a\nb.png", b"a b\t.png", b"-rf.png", b"*.png", b"%00.png", b"x" * 200 + b".png",
    b"metadata.csv", b"metadata.jsonl", b"train", b"val", b"test", b"validation", b"\xf0\x9f\x90\x9d.png", b"CON.png",
    b"=1.png",
)  # fmt: skip


def draw_value(draw: Draw) -> Any:
    """One of PLAIN, or one that is too deep, too long, or made of others."""
    kind = draw.random()
    if kind < 0.85:
        return draw.choice(PLAIN)
    if kind < 0.9:
        return [draw.choice(PLAIN) for _ in range(draw.randrange(20))]
    if kind < 0.95:
        return {str(draw.choice(PLAIN)): draw.choice(PLAIN) for _ in range(draw.randrange(5))}
    return draw.choice(PLAIN[:20])


def write_value(draw: Draw, value: Any) -> str:
    """As JSON, which YAML reads too; now and then with something in it that Python's writer would not make."""
    kind = draw.random()
    if kind < 0.04:
        return "[" * DEEP + "]" * draw.choice([0, DEEP])
    if kind < 0.06:
        return '{"a":' * DEEP + "1" + "}" * DEEP
    if kind < 0.1:
        return draw.choice(
            ["NaN", "Infinity", "-", "1e999", "0x1F", "1" * 5_000, "-1" + "0" * 400, '"\\ud800"', "{", "'", ""]
        )
    return json.dumps(value, ensure_ascii=draw.random() < 0.5 or _has_surrogates(value))


def mutate_tree(draw: Draw, value: Any) -> Any:
    """JSON-like content with one thing in it changed: a value, a key, an item more or less."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        kind = draw.random()
        if kind < 0.6:
            return {**value, key: mutate_tree(draw, value[key])}
        if kind < 0.75:
            return {name: content for name, content in value.items() if name != key}
        if kind < 0.9:
            return {(str(draw_value(draw)) if name == key else name): content for name, content in value.items()}
        return {**value, str(draw.choice(PLAIN)): draw_value(draw)}
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        kind = draw.random()
        if kind < 0.7:
            return [*value[:place], mutate_tree(draw, value[place]), *value[place + 1 :]]
        return value[:place] + value[place + 1 :] if kind < 0.85 else [*value, draw_value(draw)]
    return draw_value(draw)


def _has_surrogates(value: Any) -> bool:
    return "\\ud8" in json.dumps(value)
