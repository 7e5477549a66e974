"""Cases: what is broken, and how Growset is asked about it, as `growset init` and `growset check` do."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ops.files.manifests import MANIFEST, SEAL, join_hashes, read_manifest, seal
from ops.recipe.loading import load_recipe
from ops.recipe.stages import STAGES
from ops.sources.reading import hash_source, read_source
from ops.sources.sketch import sketch_source
from ops.sources.spec import load_source_spec
from ops.workspaces.workspace import Workspace
from tests import sources
from tests.fuzzing.mutations import break_source, mutate_bytes
from tests.fuzzing.values import Draw, draw_value, mutate_tree, write_value
from tests.fuzzing.watching import watch
from tests.workspaces import RECIPE

DRAWN = {"split": {"validation": 0.3}}
LAYOUTS: dict[str, tuple[Callable[[Path], dict[str, Any]], dict[str, Any]]] = {
    "folder": (lambda root: sources.make_folder(root, _truth()), {}),
    "metadata csv": (lambda root: sources.make_metadata(root, _truth()), {}),
    "metadata jsonl": (lambda root: sources.make_metadata(root, _truth(), "jsonl"), {}),
    "metadata parquet": (lambda root: sources.make_metadata(root, _truth(), "parquet"), {}),
    "parquet": (lambda root: sources.make_parquet(root, _truth()), {}),
    "webdataset": (lambda root: sources.make_webdataset(root, _truth()), {}),
    "zip": (lambda root: sources.make_zip(root, _truth()), {}),
    "npz": (lambda root: sources.make_npz(root, _truth()), {}),
    "kuzushiji": (lambda root: sources.make_kuzushiji(root, _truth(grey=True)), DRAWN),
    "idx": (lambda root: sources.make_idx(root, _truth(grey=True)), DRAWN),
    "idx plain": (lambda root: sources.make_idx(root, _truth(grey=True), packed=False), DRAWN),
    "cifar": (lambda root: sources.make_cifar(root, _truth()), DRAWN),
    "cifar100": (lambda root: sources.make_cifar100(root, _truth()), DRAWN),
    "gtsrb": (lambda root: sources.make_gtsrb(root, _truth()), DRAWN),
    "tiny-imagenet": (lambda root: sources.make_tiny_imagenet(root, _truth()), DRAWN),
}
MANIFEST_CONTENT = {
    "stage": "scorer", "version": 1, "fingerprint": "f", "settings": {"steps": 1}, "inputs": {"real_images": "c"},
    "content": join_hashes({"a.json": {"sha256": "0"}}), "files": {"a.json": {"bytes": 1, "sha256": "0"}},
    "metrics": {"accuracy": 0.5}, "environment": {},
}  # fmt: skip
PARAMS = {
    "expansions": ["digits"],
    "stage_versions": dict.fromkeys(STAGES, 1),
    "source_versions": {"digits": "abc"},
}


def _truth(*, grey: bool = False) -> sources.Truth:
    return sources.make_truth(grey=grey, per_class=4)


@dataclass(frozen=True)
class Failure:
    """A case that must not be: its number, what was broken, what happened."""

    case: int
    what: str
    fault: str


class Fuzzer:
    """Cases by number: a case follows from the seed and its number alone."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.examples: dict[str, dict[str, Any]] = {}
        for name, (make, more) in LAYOUTS.items():
            self.examples[name] = {**make(folder / "examples" / name), **more}

    def run(self, number: int) -> Failure | None:
        """Make the case, ask about it, take it away again."""
        draw = random.Random(f"{self.seed}/{number}")
        case = self.folder / "case"
        case.mkdir()
        try:
            kind = draw.choice(["source"] * 6 + ["description", "recipe", "params", "manifest"])
            what, ask = getattr(self, f"_break_{kind}")(draw, case)
            fault = watch(ask)
            return None if fault is None else Failure(number, what, fault)
        finally:
            shutil.rmtree(case)

    def _break_source(self, draw: Draw, case: Path) -> tuple[str, Callable[[], object]]:
        name = draw.choice(list(LAYOUTS))
        root = case / "source"
        shutil.copytree(self.folder / "examples" / name, root)
        told = break_source(draw, root)
        keys = {**self.examples[name]}
        place = root / Path(keys["path"]).relative_to(self.folder / "examples" / name)
        if draw.random() < 0.2:
            return f"init, {name}: {told}", lambda: sketch_source(place, "x", "MIT")
        if name in ("metadata csv", "parquet", "webdataset") and draw.random() < 0.1:
            keys |= {"group": "patient"}
        if draw.random() < 0.15:
            keys |= {"size": 16}
        description = _describe(case, {**keys, "path": str(place), "licence": "MIT"})
        return f"{name}: {told}", lambda: _check(description)

    def _break_description(self, draw: Draw, case: Path) -> tuple[str, Callable[[], object]]:
        name = draw.choice(["folder", "parquet", "npz", "metadata csv"])
        keys = {**self.examples[name], "path": str(self.examples[name]["path"]), "licence": "MIT", "size": 16}
        keys |= {"background": [0, 0, 0], "split": {"validation": 0.2, "seed": 1}, "skip_damaged": True}
        text = _break_text(draw, keys)
        description = case / "x.yaml"
        description.write_bytes(text)
        return f"description: {text[:300]!r}", lambda: _check(description)

    def _break_recipe(self, draw: Draw, case: Path) -> tuple[str, Callable[[], object]]:
        text = _break_text(draw, YAML(typ="safe").load(RECIPE), RECIPE)
        path = case / "digits.yaml"
        path.write_bytes(text)
        return f"recipe: {text[:300]!r}", lambda: load_recipe(path)

    def _break_params(self, draw: Draw, case: Path) -> tuple[str, Callable[[], object]]:
        (case / "recipes").mkdir()
        (case / "recipes" / "digits.yaml").write_text(RECIPE, encoding="utf-8")
        text = _break_text(draw, PARAMS)
        (case / "params.yaml").write_bytes(text)
        return f"params: {text[:300]!r}", lambda: _read_params(Workspace(case))

    def _break_manifest(self, draw: Draw, case: Path) -> tuple[str, Callable[[], object]]:
        sealed = seal(MANIFEST_CONTENT)
        content = sealed if draw.random() < 0.5 else {key: sealed[key] for key in sealed if key != SEAL}
        text = _break_text(draw, content, json.dumps(content))
        (case / MANIFEST).write_bytes(text)
        return f"manifest: {text[:300]!r}", lambda: read_manifest(case)


def _check(description: Path) -> None:
    spec = load_source_spec(description)
    hash_source(spec)
    read_source(spec)


def _read_params(workspace: Workspace) -> None:
    for expansion in workspace.expansions:
        workspace.load_recipe(expansion)
        workspace.source_version(expansion)
    for stage in STAGES:
        workspace.stage_version(stage)


def _describe(case: Path, keys: dict[str, Any]) -> Path:
    path = case / "x.yaml"
    path.write_text(json.dumps(keys, ensure_ascii=False), encoding="utf-8")
    return path


def _break_text(draw: Draw, content: Any, text: str | None = None) -> bytes:
    """YAML with one thing in its content changed, or in its text."""
    plain = text or "".join(f"{key}: {json.dumps(value)}\n" for key, value in content.items())
    kind = draw.random()
    if kind < 0.6:
        for _ in range(draw.choice([1, 1, 2])):
            content = mutate_tree(draw, content)
        return write_value(draw, content).encode("utf-8", "surrogatepass")
    if kind < 0.7:
        return mutate_bytes(draw, plain.encode())
    if kind < 0.75:
        return _unfold(draw).encode()
    lines = plain.split("\n")
    place = draw.randrange(len(lines))
    key = lines[place].partition(":")[0]
    signs = ["&a ", "*a", "!!python/object:os.system x", "!!int x", "!!int ''", "!!float x", "!!bool x",
             "!!timestamp x",
             "!!binary x", "!!set {a}", "!!omap x", "!x y", "[", "{", "]", "- ", "? [a]: b", "| x", "> x",
             "%YAML 9.9", "---",
             "<<: *a", "<<: 1", "\t", "@", "`", "'", '"\\x00"', '"\\ud800"', "0o99", "1_0:1", "2024-13-45", "\x85",
             "\ufeff",
             "&a [*a]", "{a: &a {b: *a}}", str(draw_value(draw))]  # fmt: skip
    lines[place] = draw.choice([f"{key}: {draw.choice(signs)}", lines[place] + draw.choice(signs), draw.choice(signs)])
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _unfold(draw: Draw) -> str:
    """A few aliases that stand for billions of values."""
    lines = ['a0: &a0 ["x", "x", "x", "x", "x", "x", "x", "x", "x"]']
    for level in range(1, 12):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]")
    used = draw.choice(
        ["expansions", "source", "data", "licence", "path", "stage_versions", "class_names", "baselines"]
    )
    return "\n".join(
        [*(lines if draw.random() < 0.5 else []), f"{used}: {'*a11' if draw.random() < 0.5 else lines[-1]}"]
    )
