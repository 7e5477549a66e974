"""`growset docs`: every page is listed, a page is printed as it is, a mistyped name is answered with the nearest."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipelines.cli import documents
from pipelines.cli.main import main
from tests.workspaces import ROOT

PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))


def test_without_a_page_all_pages_are_listed_with_their_titles() -> None:
    result = CliRunner().invoke(main, ["docs"])
    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=1) for line in result.output.splitlines() if line.startswith("  ")]
    assert [name for name, _ in lines] == ["readme", *PAGES]
    assert ["verdict", "How to read the verdict"] in lines


def test_a_pipe_gets_the_page_as_it_is() -> None:
    for name in ("recipes", "recipes.md"):
        result = CliRunner().invoke(main, ["docs", name])
        assert result.output == (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


def test_a_mistyped_page_is_one_sentence() -> None:
    result = CliRunner().invoke(main, ["docs", "recipe"])
    assert (result.exit_code, result.output) == (
        2,
        "growset: there is no page 'recipe'; did you mean 'recipes'?\n",
    )


def test_a_terminal_gets_the_page_laid_out_in_a_pager(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(documents.sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(documents.click, "echo_via_pager", shown.append)
    documents.show_page("# A title\n\nSome *words* and a [link](verdict.md).\n")
    assert "A title" in shown[0] and "words" in shown[0] and "*words*" not in shown[0]


def test_generated_files_name_pages_that_exist() -> None:
    texts = [path.read_text(encoding="utf-8") for path in Path(ROOT / "ops").rglob("*.py")]
    named = {page for text in texts for page in re.findall(r"`growset docs ([a-z-]+)`", text)}
    assert {"recipes", "sources", "bring-your-own-data"} <= named <= set(PAGES)
