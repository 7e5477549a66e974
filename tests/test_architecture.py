"""The house rules, read from the source by `ast` and from the settings files: who imports whom, what is never written.

The rules are those of the three packages (ops computes, assets define, pipelines compose). Each rule is tried on a
planted fault first and then on every module; one process is started to see what loading the code location imports.
"""

from __future__ import annotations

import ast
import configparser
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import yaml

from ops.files import outputs

ROOT = Path(__file__).parents[1]
PACKAGES = ("ops", "assets", "pipelines")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FORBIDDEN_IMPORTS = {"ops": {"assets", "pipelines"}, "assets": {"pipelines"}, "pipelines": set()}
HEAVY = {"torch", "diffusers", "onnxruntime", "dvc", "transformers", "sklearn"}
UNSAFE_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"torch.load", "eval", "exec", "os.system", "os.popen"}
NAMELESS = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "managers"}

Rule = Callable[[ast.Module], Iterator[str]]


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def walk(tree: ast.Module) -> tuple[ast.AST, ...]:
    """All nodes of a module, which every rule looks at."""
    return tuple(ast.walk(tree))


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """Full names of the modules that the nodes import."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            found |= {package, *(f"{package}.{alias.name}" for alias in node.names)}
    return found


def imported_packages(nodes: Iterable[ast.AST]) -> set[str]:
    return {module.partition(".")[0] for module in imported(nodes)}


def loaded_with_the_module(node: ast.AST) -> Iterator[ast.AST]:
    """Everything that runs when the module is imported: no function bodies, nothing for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from loaded_with_the_module(child)


@cache
def calls(tree: ast.Module) -> tuple[tuple[str, ast.Call], ...]:
    """Calls with the name of what is called as it is written: `np.load`."""
    return tuple((ast.unparse(node.func), node) for node in walk(tree) if isinstance(node, ast.Call))


def argument(call: ast.Call, name: str) -> str | None:
    """A keyword argument as it is written."""
    return next((ast.unparse(entry.value) for entry in call.keywords if entry.arg == name), None)


def import_heavily(tree: ast.Module) -> Iterator[str]:
    for package in imported_packages(loaded_with_the_module(tree)) & HEAVY:
        yield f"imports {package} outside of a function"


def postpone_annotations(tree: ast.Module) -> Iterator[str]:
    if "__future__.annotations" in imported(walk(tree)):
        yield "postpones annotations"


def import_relatively(tree: ast.Module) -> Iterator[str]:
    for module in imported(walk(tree)):
        if module.startswith("."):
            yield f"imports {module}"


def lack_a_docstring(tree: ast.Module) -> Iterator[str]:
    if not ast.get_docstring(tree):
        yield "has no docstring"


def run_code_from_data(tree: ast.Module) -> Iterator[str]:
    for package in imported_packages(walk(tree)) & UNSAFE_MODULES:
        yield f"imports {package}"
    for function, call in calls(tree):
        if function in UNSAFE_CALLS:
            yield f"line {call.lineno}: {function}"
        if argument(call, "allow_pickle") not in (None, "False"):
            yield f"line {call.lineno}: allow_pickle"
        if argument(call, "weights_only") not in (None, "True"):
            yield f"line {call.lineno}: weights_only"


def load_yaml_unsafely(tree: ast.Module) -> Iterator[str]:
    """PyYAML needs a safe loader; ruamel's YAML().load, whatever the object is called, builds plain data by default."""
    pyyaml = "yaml" in imported_packages(walk(tree))
    for function, call in calls(tree):
        if function == "YAML" and argument(call, "typ") not in (None, "'safe'", "'rt'"):
            yield f"line {call.lineno}: {ast.unparse(call)}"
        if pyyaml and function in {"yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all", "yaml.full_load_all"}:
            yield f"line {call.lineno}: {function}"
        if pyyaml and function in {"yaml.load", "yaml.load_all", "yaml.compose", "yaml.compose_all"}:
            loader = argument(call, "Loader") or (ast.unparse(call.args[1]) if len(call.args) > 1 else "no loader")
            if loader not in {"yaml.SafeLoader", "yaml.CSafeLoader"}:
                yield f"line {call.lineno}: {function} with {loader}"


def start_a_shell(tree: ast.Module) -> Iterator[str]:
    for function, call in calls(tree):
        if argument(call, "shell") not in (None, "False"):
            yield f"line {call.lineno}: {function} with a shell"


def unpack_blindly(tree: ast.Module) -> Iterator[str]:
    for function, call in calls(tree):
        if function.rpartition(".")[2] in {"extractall", "unpack_archive"}:
            yield f"line {call.lineno}: {function}"


def swallow_exceptions(tree: ast.Module) -> Iterator[str]:
    for node in walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        broad = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
        answers = any(isinstance(inner, (ast.Raise, ast.Call)) for part in node.body for inner in ast.walk(part))
        if node.type is None or (broad and not answers):
            yield f"line {node.lineno}: {ast.unparse(node).splitlines()[0]}"


EVERYWHERE: dict[Rule, tuple[str, ...]] = {
    import_relatively: ("from . import a", "from ..ops import a"),
    lack_a_docstring: ("import os", ""),
    run_code_from_data: (
        "import pickle", "from cloudpickle import loads", "def f():\n    import pickle", "torch.load('a')", "eval('1')",
        "np.load(path, allow_pickle=True)", "load(path, weights_only=False)",
    ),
    load_yaml_unsafely: (
        "import yaml\nyaml.load(text)", "import yaml\nyaml.load(text, Loader=yaml.Loader)", "YAML(typ='unsafe')",
        "import yaml\nyaml.full_load(text)", "def f():\n    import yaml\n    yaml.load(text, yaml.FullLoader)",
    ),
    start_a_shell: ("subprocess.run('ls', shell=True)", "subprocess.Popen(command, shell=fast)"),
    unpack_blindly: ("archive.extractall(folder)", "shutil.unpack_archive(path)"),
    swallow_exceptions: (
        "try:\n    a()\nexcept:\n    raise", "try:\n    a()\nexcept Exception:\n    pass",
        "for b in c:\n    try:\n        a()\n    except BaseException as error:\n        continue",
    ),
}  # fmt: skip
WHERE_DAGSTER_IS: dict[Rule, tuple[str, ...]] = {
    import_heavily: (
        "import torch", "from dvc.repo import Repo", "import torch.nn as nn", "if fast:\n    import sklearn",
        "class A:\n    import diffusers",
    ),
    postpone_annotations: ("from __future__ import annotations",),
}  # fmt: skip


def find_faults(rule: Rule, paths: Iterable[Path]) -> list[str]:
    return [f"{path.relative_to(ROOT).as_posix()} {fault}" for path in paths for fault in rule(parse(path))]


@pytest.mark.parametrize(
    ("rule", "fault"),
    [(rule, fault) for rule, faults in {**EVERYWHERE, **WHERE_DAGSTER_IS}.items() for fault in faults],
)
def test_rule_finds_a_planted_fault(rule: Rule, fault: str) -> None:
    assert list(rule(ast.parse(fault)))


@pytest.mark.parametrize("rule", EVERYWHERE, ids=lambda rule: rule.__name__)
def test_no_module_breaks_a_house_rule(rule: Rule) -> None:
    assert find_faults(rule, MODULES) == []


@pytest.mark.parametrize("rule", WHERE_DAGSTER_IS, ids=lambda rule: rule.__name__)
def test_no_module_of_assets_or_pipelines_breaks_a_rule_of_dagster(rule: Rule) -> None:
    paths = [path for path in MODULES if not path.is_relative_to(ROOT / "ops")]
    assert len(paths) > 10
    assert find_faults(rule, paths) == []


def test_imports_run_from_pipelines_to_assets_to_ops() -> None:
    for path in MODULES:
        package = path.relative_to(ROOT).parts[0]
        found = imported_packages(walk(parse(path)))
        assert not found & FORBIDDEN_IMPORTS[package], path
        assert package != "ops" or not any(module.startswith("dagster") for module in found), path


# The packages of ops, floor by floor from the ground: each may import those on lower floors, and nothing else.
FLOORS = (
    {"errors", "statistics"},
    {"machine", "metrics", "settings"},
    {"files", "theory"},
    {"likeness", "recipe", "training"},
    {"datasets", "pretrained", "workspaces"},
    {"generators", "history", "labelling", "pictures", "sources", "stages", "verdict"},
    {"classifiers", "documents", "exports", "imagination", "remotes", "scaffold"},
    {"tuning"},
    {"drawing", "judging", "planning", "verification"},
    {"filters"},
    {"inspection"},
    {"exploring", "report"},
    {"chain"},
    {"study"},
)


def name_of(path: Path) -> str:
    """The module that a path is: `ops.files.storage`, or a package for its __init__.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def import_graph() -> dict[str, set[str]]:
    """Of each module of the house the modules of the house that it imports, wherever in the file."""
    known = {name_of(path) for path in MODULES}
    return {name_of(path): (imported(walk(parse(path))) & known) - {name_of(path)} for path in MODULES}


def find_circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Some circle of the graph, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def climb(graph: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    """Pairs of packages of ops of which the first imports the second, though that is on no lower floor."""
    floors = {f"ops.{name}": number for number, names in enumerate(FLOORS) for name in names}
    found = set()
    for module, others in graph.items():
        for other in others:
            pair = (".".join(module.split(".")[:2]), ".".join(other.split(".")[:2]))
            if pair[0] != pair[1] and set(pair) <= floors.keys() and floors[pair[0]] <= floors[pair[1]]:
                found.add(pair)
    return found


def test_a_circle_and_a_climb_would_be_found() -> None:
    assert set(find_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
    assert climb({"ops.files.storage": {"ops.chain.driver"}}) == {("ops.files", "ops.chain")}
    assert climb({"ops.drawing.pieces": {"ops.judging.judge"}})


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert find_circle(import_graph()) == []


def test_every_package_of_ops_has_its_floor_and_imports_lower_ones_only() -> None:
    assert set.union(*FLOORS) == {path.stem for path in (ROOT / "ops").iterdir() if path.stem[0] not in "._"}
    assert climb(import_graph()) == set()


def test_ops_opens_on_one_screen() -> None:
    assert {path.name for path in (ROOT / "ops").glob("*.py")} == {"__init__.py", "errors.py"}
    assert len(set.union(*FLOORS)) <= 37  # with what is beside them, one line each, on a screen of 40


def test_file_names_of_outputs_that_packages_share_are_written_once() -> None:
    shared = {value for name, value in vars(outputs).items() if name.isupper() and Path(value).suffix} - {outputs.CARD}
    assert {"verdict.json", "index.parquet"} <= shared
    repeated = [
        f"{path.relative_to(ROOT).as_posix()} line {node.lineno}: {node.value!r}"
        for path in MODULES
        for node in walk(parse(path))
        if isinstance(node, ast.Constant) and node.value in shared and name_of(path) != "ops.files.outputs"
    ]
    assert repeated == []


def test_nothing_that_users_run_imports_benchmarks() -> None:
    assert not [path for path in MODULES if "benchmarks" in imported_packages(walk(parse(path)))]


def test_loading_the_code_location_loads_no_heavy_library() -> None:
    script = "import json, sys, pipelines.definitions; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = {module.partition(".")[0] for module in json.loads(done.stdout.splitlines()[-1])}
    assert {"pipelines", "assets", "ops", "dagster"} <= loaded
    assert not loaded & HEAVY


def test_only_three_modules_talk_to_dvc() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in MODULES if "dvc" in imported_packages(walk(parse(path)))}
    assert found == {"ops/history/dvc_repository.py", "ops/remotes/objects.py", "ops/remotes/transfer.py"}


def test_every_module_is_named_after_what_it_does() -> None:
    for path in MODULES:
        assert not {part.removesuffix(".py") for part in path.relative_to(ROOT).parts} & NAMELESS, path


def test_every_folder_with_modules_is_a_package() -> None:
    assert {path.parent for path in MODULES if not (path.parent / "__init__.py").is_file()} == set()


def test_tests_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_pyproject_leaves_the_code_location_to_workspace_yaml() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert not {"dagster", "dg"} & set(tools)
    assert set(tools["setuptools"]["packages"]["find"]["include"]) >= {"ops*", "assets*", "pipelines*"}


def test_pyproject_cannot_be_uploaded_and_has_the_growset_command() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "Private :: Do Not Upload" in project["classifiers"]
    assert project["scripts"] == {"growset": "pipelines.cli.main:main"}


def test_workspace_yaml_names_the_code_location() -> None:
    content = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))
    (entry,) = content["load_from"]
    assert entry["python_module"]["module_name"] == "pipelines.definitions"
    assert entry["python_module"]["attribute"] == "defs"


def test_dagster_sends_no_telemetry() -> None:
    content = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    assert content["telemetry"] == {"enabled": False}


def test_dvc_sends_no_analytics() -> None:
    config = configparser.ConfigParser()
    config.read_string("\n".join(line.strip() for line in (ROOT / ".dvc" / "config").read_text().splitlines()))
    assert config["core"]["analytics"] == "false"
