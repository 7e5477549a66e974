"""`growset explore`: where its page is, when it is written again, and one sentence where there is nothing to show."""

import json
from pathlib import Path

from ops.datasets.shards import find_shards
from ops.files.outputs import GENERATED
from tests.exploration import read_column
from tests.workspaces import growset


def test_the_page_of_a_real_chain(finished_workspace: Path, tmp_path: Path) -> None:
    result = growset(finished_workspace, "explore", "digits")
    assert result.exit_code == 0, result.output
    page = finished_workspace / ".growset" / "explore" / "digits" / "index.html"
    assert result.stdout == f"{page}\n" and page.is_file()
    facts = json.loads((page.parent / "facts.js").read_text().removeprefix("explore.describe(").removesuffix(")\n"))
    assert len(facts["scores"]) > 5 and all(score["meaning"] for score in facts["scores"])
    kinds = read_column(page.parent / "columns", "kind", "u8")
    assert {0, 1, 2} <= set(kinds) and "digits: " in result.stderr and f"{len(kinds):,} images" in result.stderr
    assert "digits: unchanged" in growset(finished_workspace, "explore", "digits").stderr
    elsewhere = growset(finished_workspace, "explore", "digits", "--out", str(tmp_path / "page"))
    assert elsewhere.stdout == f"{tmp_path / 'page' / 'index.html'}\n"
    refused = growset(finished_workspace, "explore", "digits", "--out", str(finished_workspace / "recipes"))
    assert refused.exit_code == 2 and "name a new or an empty folder" in refused.stderr
    shard = find_shards(finished_workspace / "data" / "digits" / "generated_images", GENERATED)[0]
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    assert growset(finished_workspace, "explore", "digits").exit_code == 4


def test_nothing_to_show_yet_is_one_sentence(fresh_workspace: Path) -> None:
    result = growset(fresh_workspace, "explore", "digits")
    assert result.exit_code == 2
    assert "'digits' has no filtered images yet; run: growset run digits" in result.output
    assert "did you mean 'digits'?" in growset(fresh_workspace, "explore", "digit").output
