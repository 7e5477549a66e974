"""`growset theory`: JSON of the agreed shape, a table and a figure, and one sentence for each mistake."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipelines.cli.main import main
from tests.workspaces import ROOT

LISTS = "gamma nll_gap nll_gap_se zero_one_gap zero_one_gap_se test_nll test_error bound"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def theory(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["theory", *arguments])


def read_json(*arguments: str) -> dict[str, Any]:
    result = theory(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_json_has_a_list_for_each_figure_and_the_warning() -> None:
    arguments = "gmm --dim 50 --real 10 --gamma 0,1,2 --repeats 200 --seed 0"
    found = read_json(*arguments.split())
    assert [len(found[name]) for name in LISTS.split()] == [3] * 8
    assert found["gamma"] == [0, 1, 2] and found["generated"] == [0, 10, 20]
    assert found["bound"] == pytest.approx([28.58, 113.06, 95.74], abs=0.005)
    assert found["published_bound"] == pytest.approx([149.014, 113.063, 94.000], abs=6e-4)
    assert [sum(terms.values()) for terms in found["bound_terms"]] == pytest.approx(found["bound"])
    assert found["expected_test_nll"] == pytest.approx([27.5, 28.125, 28.0556], abs=1e-4)
    assert all(0 < error < 0.2 for error in found["nll_gap_se"])
    assert all(0 < share < 1 for name in ("zero_one_gap", "test_error") for share in found[name])
    assert found["test_nll"][0] == min(found["test_nll"])
    assert any("only the loss on new real samples counts" in warning for warning in found["warnings"])
    assert any("upper bound" in warning for warning in found["warnings"])
    assert not list(Path().iterdir()), "with --json nothing is written"


def test_equal_seeds_give_equal_output_and_others_do_not() -> None:
    first, second, other = (
        theory("gmm", "--gamma", "0,1", "--repeats", "5", "--seed", seed, "--json").stdout for seed in ("1", "1", "2")
    )
    assert first == second != other


def test_without_json_there_are_tables_warnings_and_a_figure() -> None:
    arguments = ["gmm", "--dim", "3", "--real", "20", "--gamma", "0.5,0", "--repeats", "20"]
    result = theory(*arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert " ".join(lines[0].split()) == "γ generated NLL gap ± se error gap ± se test NLL closed form test error"
    assert [line.split()[:2] for line in lines[1:3]] == [["0.5", "10"], ["0", "0"]]
    assert lines[5].endswith("published")
    assert any(line.startswith("warning: The gap is not the risk") for line in lines)
    assert lines[-1] == "figure: theory-gmm.svg"
    svg = Path("theory-gmm.svg").read_text()
    assert "<svg" in svg and "closed form" in svg and "published" in svg
    named = theory("gmm", "--gamma", "0", "--repeats", "2", "--json", "--figure", "single.svg")
    assert json.loads(named.stdout)["gamma"] == [0]
    assert "<svg" in Path("single.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--gamma -1", "--gamma is '-1'; allowed: numbers from 0 to 1,000,000"),
        ("--gamma 0,,1", "--gamma is ''; allowed: numbers"),
        ("--gamma nan", "--gamma is 'nan'; allowed: numbers"),
        ("--gamma inf", "--gamma is 'inf'; allowed: numbers"),
        ("--gamma 0,one", "--gamma is 'one'; allowed: numbers"),
        ("--gamma 0.01", "γ 0.01 of 10 real samples is no generated one; allowed: 0, or at least 0.1"),
        ("--dim 0", "--dim is '0'; allowed: whole numbers from 1 to 1,000,000"),
        ("--dim 1.5", "--dim is '1.5'; allowed: whole numbers"),
        ("--dim many", "--dim is 'many'; allowed: whole numbers"),
        ("--repeats 1", "--repeats is '1'; allowed: whole numbers from 2 to 1,000,000"),
        ("--real 11", "--real is 11; allowed: even numbers, because both classes have equally many samples"),
        ("--real 2", "--real is '2'; allowed: whole numbers from 4"),
        ("--seed -1", "--seed is '-1'; allowed: whole numbers from 0"),
        ("--sigma 0", "--sigma is '0'; allowed: numbers above 0 up to 1,000"),
        ("--dim 1000000 --real 1000", "one repeat would need 1,000,100,000 random numbers"),
        ("--figure a.png", "--figure is 'a.png'; allowed: a file that ends with .svg"),
        ("--figure no/a.svg", "--figure is 'no/a.svg'; allowed: a file that ends with .svg, in a folder that exists"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments: str, sentence: str) -> None:
    result = theory("gmm", *arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"growset: {sentence}") and result.stderr.count("\n") == 1
    assert not list(Path().iterdir())


def test_the_general_bound_shows_every_term_and_advises() -> None:
    given = ["bound", "--real", "1000", "--generated", "10000", "--divergence", "0.2", "--generator-stability", "0.1"]
    found = read_json(*given)
    assert sum(found["terms"].values()) == pytest.approx(found["bound"])
    assert found["terms"]["divergence"] == pytest.approx(10 / 11 * 0.2)
    assert found["without_terms"]["generator_stability"] == 0
    assert found["answer"] == "no help" and found["efficient"] > 1000
    lines = theory(*given).stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[1:7]] == [
        "divergence", "sampling", "learner change", "learner stability", "generator stability", "bound",
    ]  # fmt: skip
    assert any(line.startswith("no help: ") for line in lines)
    assert any(line.startswith("warning: This advice rests on an upper bound") for line in lines)
    for option, value in (("--divergence", "1.5"), ("--real", "1"), ("--generated", "-1"), ("--loss-range", "0")):
        wrong = theory(*given, option, value)
        assert wrong.exit_code == 2 and wrong.stderr.startswith(f"growset: {option} is '{value}'; allowed: ")


def test_the_graph_has_a_list_for_each_figure() -> None:
    arguments = "graph --n 20,50 --radius 0.9,1.2,2 --repeats 3 --seed 0"
    found = read_json(*arguments.split())
    assert found["samples"] == [20, 50] and found["radius"] == [0.9, 1.2, 2] and found["features"] == 2
    assert len(found["labelling_error"]) == 3
    for name in ("connectivity", "connectivity_se", "unconnected", "bound"):
        assert [len(row) for row in found[name]] == [3, 3]
    assert [len(found[name]) for name in ("best_radius", "best_radius_se", "best_bound")] == [2] * 3
    assert any("from memory and unconfirmed" in warning for warning in found["warnings"])
    assert theory(*arguments.split(), "--json").stdout == theory(*arguments.split(), "--json").stdout
    steeper = read_json(*arguments.split(), "--connectivity-constant", "4", "--labelling-constant", "8")
    assert steeper["bound"][1] == pytest.approx([value / 2 for value in found["bound"][1]])
    assert read_json(*arguments.split(), "--features", "1")["connectivity"] < found["connectivity"]
    unconnected = read_json("graph", "--n", "10", "--radius", "0.01", "--repeats", "2")
    assert unconnected["bound"] == [[None]] and unconnected["best_radius"] == [None]
    assert not list(Path().iterdir()), "with --json nothing is written"


def test_of_the_graph_there_are_tables_warnings_and_a_figure() -> None:
    result = theory("graph", "--n", "50,20", "--radius", "1.2,0.1,2", "--repeats", "2")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "labelling error α, and connectivity λ, eigenvalue number 3:"
    assert " ".join(lines[1].split()) == "radius α n = 50 ± se n = 20 ± se"
    assert [line.split()[0] for line in lines[2:5]] == ["1.2", "0.1", "2"]
    assert lines[9].split() == ["0.1", "∞", "∞"]
    assert [line.split()[0] for line in lines[12:15]] == ["n", "50", "20"]
    assert any(line.startswith("warning: The bound's constants") for line in lines)
    assert lines[-1] == "figure: theory-graph.svg"
    svg = Path("theory-graph.svg").read_text()
    assert "<svg" in svg and "connectivity: eigenvalue number 3" in svg and "labelling error" in svg
    named = theory("graph", "--n", "10", "--radius", "0.01", "--repeats", "2", "--json", "--figure", "none.svg")
    assert json.loads(named.stdout)["samples"] == [10]
    assert "<svg" in Path("none.svg").read_text(), "of a graph that no radius connects"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--n 1", "--n is '1'; allowed: whole numbers from 2 to 1,000,000"),
        ("--n 30,,40", "--n is ''; allowed: whole numbers"),
        ("--n 30.5", "--n is '30.5'; allowed: whole numbers"),
        ("--n 30,4 --features 4", "4 samples are too few for 4 features; allowed: more samples than features"),
        ("--n 500000", "500,000 samples would have 100,500,000 views, of which 20,000,000 are allowed"),
        ("--radius 0", "--radius is '0'; allowed: numbers from 0.001 to 10"),
        ("--radius 1,-1", "--radius is '-1'; allowed: numbers"),
        ("--radius 1;2", "--radius is '1;2'; allowed: numbers"),
        ("--features 0", "--features is '0'; allowed: whole numbers from 1 to 100"),
        ("--connectivity-constant 0", "--connectivity-constant is '0'; allowed: numbers above 0"),
        ("--labelling-constant -1", "--labelling-constant is '-1'; allowed: numbers from 0"),
        ("--repeats 1", "--repeats is '1'; allowed: whole numbers from 2 to 1,000,000"),
        ("--figure a.png", "--figure is 'a.png'; allowed: a file that ends with .svg"),
    ],
)
def test_a_mistake_about_the_graph_is_one_sentence_and_exit_code_2(arguments: str, sentence: str) -> None:
    result = theory("graph", *arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"growset: {sentence}") and result.stderr.count("\n") == 1
    assert not list(Path().iterdir())


def test_it_loads_neither_torch_nor_with_json_matplotlib() -> None:
    script = (
        "import sys; from pipelines.cli.main import main;"
        "[main(['theory', *command.split(), '--repeats', '2', '--json'], standalone_mode=False)"
        " for command in ('gmm', 'graph --n 10')];"
        "print([name for name in ('torch', 'matplotlib', 'dagster') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
