"""`growset funnel`: the drawn images, counted from drawing to acceptance, in a terminal or as JSON.

Classes get columns of their own if all of them fit beside the sum; a further table counts each class's missing images.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.errors import UserError
from ops.files.outputs import ROUNDS, RULES
from ops.filters.funnel import Counts
from ops.filters.reasons import REASONS, SURPLUS
from ops.filters.results import STOPPED, AppliedRule, Results, read_results
from ops.report.generators import GeneratorLine, collect_generators
from ops.stages.integrity import require_intact
from ops.stages.unused import read_unused
from ops.workspaces.workspace import Workspace


def show_funnel(workspace: Workspace, expansion: str, *, as_json: bool) -> None:
    """Print the funnel of an expansion; UserError if it has no filtered images yet."""
    workspace.load_recipe(expansion)
    folder, drawn = (workspace.output(expansion, stage) for stage in ("accepted_images", "generated_images"))
    if (drawn / ROUNDS).exists() and (unused := read_unused(drawn)):
        raise UserError(f"no image was drawn of '{expansion}', because its generator was not used: {unused}")
    if not (folder / RULES).exists():
        raise UserError(f"'{expansion}' has no filtered images yet; run: growset run {expansion}")
    require_intact(workspace, expansion, ["accepted_images", "expansion_plan"])
    results = read_results(folder, workspace.output(expansion, "expansion_plan"))
    generators = collect_generators(workspace.output(expansion, "generator"), folder)
    if as_json:
        each = {"generators": [asdict(line) for line in generators]} if generators else {}
        click.echo(json.dumps({"expansion": expansion, **results.to_dict(), **each}))
    else:
        console = Console(highlight=False)
        print_funnel(results, expansion, console)
        if generators:
            print_generators(generators, console)


def print_funnel(results: Results, expansion: str, console: Console) -> None:
    """Print the funnel as tables."""
    funnel = results.funnel
    head = f"{expansion}: {funnel.total.drawn:,} drawn, {funnel.total.accepted:,} accepted of {funnel.wanted:,} wanted"
    console.print(Text(head + (f", {funnel.missing:,} missing" if funnel.missing else "")), soft_wrap=True)
    for table in (
        _tabulate_steps(results, console.width),
        _tabulate_rules(results),
        *([_tabulate_rounds(funnel.rounds)] if len(funnel.rounds) > 1 else []),
        _tabulate_classes(results),
    ):
        console.print()
        console.print(table)
    console.print()
    if results.doubt:
        console.print(Text(results.doubt), soft_wrap=True)
    if results.flagged_sentence:
        console.print(Text(f"safety: {results.flagged_sentence}"), soft_wrap=True)
    if not results.is_safety_checked:
        console.print("safety: not checked", soft_wrap=True)
    console.print(Text(results.copying.sentence), soft_wrap=True)


def print_generators(lines: Sequence[GeneratorLine], console: Console) -> None:
    """Print a line for each of several generators; the tables above are those of generator 0."""
    table = _start_table("generator", "drawn", "passed", "accepted", "missing", "Fréchet distance")
    for line in lines:
        frechet = "–" if line.accepted_frechet is None else f"{line.accepted_frechet:.3g}"
        counts = (f"{line.accepted:,}", f"{line.missing:,}", frechet)
        table.add_row(str(line.generator), f"{line.drawn:,}", f"{100 * line.acceptance:.1f} %", *counts)
    console.print(
        f"\n{len(lines)} generators; the tables above are those of generator 0, whose set is published\n",
        soft_wrap=True,
    )
    console.print(table)


def list_steps(counts: Counts, reasons: Iterable[str]) -> list[tuple[str, int]]:
    """The steps from drawn to accepted; the first count is the sum of the others."""
    rejected = [(f"- {REASONS[reason].title}", counts.rejected[reason]) for reason in reasons]
    return [("drawn", counts.drawn), *rejected, (f"- {SURPLUS}", counts.surplus), ("accepted", counts.accepted)]


def _tabulate_steps(results: Results, width: int) -> Table:
    funnel = results.funnel
    shown = results.shown_reasons
    whole = list_steps(funnel.total, shown)
    columns = [list_steps(entry.counts, shown) for entry in funnel.classes]
    widths = [max(len(entry.name), len(f"{entry.counts.drawn:,}")) + 2 for entry in funnel.classes]
    names = max(len(name) for name, _ in whole)
    fits = names + 2 * 11 + sum(widths) <= width
    table = _start_table("", "all", "share", *([entry.name for entry in funnel.classes] if fits else []))
    for step, (name, count) in enumerate(whole):
        share = f"{100 * count / max(1, funnel.total.drawn):.1f} %"
        cells = [f"{column[step][1]:,}" for column in columns] if fits else []
        table.add_row(name, f"{count:,}", share, *cells, style="bold" if step in (0, len(whole) - 1) else "")
    rates = [_format_rate(entry.counts) for entry in funnel.classes] if fits else []
    table.add_row("passed the rules", f"{funnel.total.passed:,}", _format_rate(funnel.total), *rates)
    return table


def _tabulate_rules(results: Results) -> Table:
    table = _start_table("rule", "rejects if", "real images rejected")
    for rule in results.rules:
        share = rule.reject_real(results.held_out_counts)
        real = "not known" if share is None else f"{100 * share:.1f} %{'' if rule.calibrated else ' (as given)'}"
        table.add_row(REASONS[rule.reason].title, describe_rule(rule), real)
    return table


def describe_rule(rule: AppliedRule) -> str:
    """`typicality below 0.31 to 0.52`: the score, its side, and the thresholds from the lowest class to the highest."""
    if rule.range is None:
        return "not applied"
    ends = [f"{limit:.3g}" for limit in rule.range]
    return f"{rule.score.replace('_', ' ')} {rule.side} {' to '.join(dict.fromkeys(ends))}"


def _tabulate_rounds(rounds: Sequence[Counts]) -> Table:
    table = _start_table("round", "drawn", "rejected", "surplus", "accepted", "passed")
    for number, counts in enumerate(rounds, 1):
        cells = (counts.drawn, sum(counts.rejected.values()), counts.surplus, counts.accepted)
        table.add_row(str(number), *(f"{count:,}" for count in cells), _format_rate(counts))
    return table


def _tabulate_classes(results: Results) -> Table:
    table = _start_table("class", "wanted", "accepted", "missing", "drawn", "passed", "no more drawn because")
    for entry, stopped in zip(results.funnel.classes, results.stopped, strict=True):
        counts = (entry.wanted, entry.counts.accepted, entry.missing, entry.counts.drawn)
        cells = (*(f"{count:,}" for count in counts), _format_rate(entry.counts), STOPPED[stopped])
        table.add_row(Text(entry.name), *cells, style="red" if entry.missing else "")
    return table


def _format_rate(counts: Counts) -> str:
    return "–" if counts.acceptance is None else f"{100 * counts.acceptance.estimate:.1f} %"


def _start_table(*columns: str) -> Table:
    """A table with numbers aligned right, and names and columns of text aligned left."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(columns):
        left = place == 0 or name in ("rejects if", "no more drawn because")
        table.add_column(Text(name), justify="left" if left else "right")
    return table
