"""`growset --help`: every command, in the order of use, on one short line in plain words."""

import re
from pathlib import Path

import click
import pytest

from pipelines.cli.main import main
from pipelines.cli.overview import ORDER, SECTIONS, OrderedGroup
from tests.workspaces import growset


def test_every_command_stands_once_in_the_order_of_use(tmp_path: Path) -> None:
    assert sorted(ORDER) == sorted(main.commands)
    said = growset(tmp_path, "--help").output
    found = re.findall(r"^  ([a-z]+)  +\S", said, flags=re.MULTILINE)
    assert found == ORDER
    assert [said.index(f"\n{heading}:\n") for heading in SECTIONS] == sorted(
        said.index(f"\n{heading}:\n") for heading in SECTIONS
    )
    assert ORDER.index("init") < ORDER.index("inspect") < ORDER.index("plan") < ORDER.index("run")


def test_each_line_is_whole_and_short(tmp_path: Path) -> None:
    lines = growset(tmp_path, "--help").output.splitlines()
    for commands in SECTIONS.values():
        for name, text in commands.items():
            (line,) = [line for line in lines if re.match(rf"  {name} ", line)]
            assert line.endswith(text) and text.endswith(".") and len(line) < 79


def test_a_command_without_a_heading_is_shown_all_the_same() -> None:
    group = OrderedGroup("tool", commands=[click.Command("run"), click.Command("later", help="Do it later.")])
    assert group.list_commands(click.Context(group)) == ["run", "later"]
    said = group.get_help(click.Context(group))
    assert "Others:\n  later  Do it later." in said and "Sharing" not in said


@pytest.mark.parametrize(("typed", "meant"), [("rnu", "run"), ("exprt", "export"), ("explor", "explore")])
def test_an_unknown_command_is_answered_with_the_nearest(tmp_path: Path, typed: str, meant: str) -> None:
    result = growset(tmp_path, typed)
    assert result.exit_code == 2
    assert f"'{meant}'" in result.output and "Did you mean" in result.output
