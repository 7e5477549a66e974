"""Stage `report`: one self-contained HTML page."""

from __future__ import annotations

from typing import Any

from ops.files.outputs import REPORT, WORTH
from ops.files.storage import write_json, write_text
from ops.report.page import collect_facts, render_page
from ops.stages.materialization import StageRun


def build_report(run: StageRun) -> dict[str, Any]:
    """Collect the stages' results and render the page; write what gains are worth where the recipe asks."""
    facts = collect_facts(run.workspace, run.expansion, run.inputs, run.recipe.report)
    if facts["worth"] is not None:
        write_json(run.out / WORTH, facts["worth"])
    page = render_page(facts)
    write_text(run.out / REPORT, page)
    return {"report_bytes": len(page.encode()), "evaluations": facts["evaluations"]}
