"""The commands `growset theory …`: a simulated mixture, a bound for your own numbers, an augmentation graph."""

import json
from pathlib import Path

import click

from ops.errors import UserError
from pipelines.cli.numbers import Number, Numbers, Whole, Wholes
from pipelines.cli.options import as_json

FIGURE, GRAPH_FIGURE = "theory-gmm.svg", "theory-graph.svg"
LARGE = 1_000_000


@click.group()
def theory() -> None:
    """What theory says of generated data, with what limits it: growset docs theory."""


@theory.command(short_help="Simulate generated data in a mixture of two Gaussians.")
@click.option("--dim", type=Whole(1, LARGE), default=50, show_default=True, help="Dimensions of a sample.")
@click.option(
    "--real", type=Whole(4, LARGE), default=10, show_default=True, help="Real samples; even, half of each class."
)
@click.option(
    "--gamma",
    type=Numbers(0, LARGE),
    default="0,1,2,5,10,20,50,100",
    show_default=True,
    metavar="NUMBERS",
    help="Generated samples for each real one, with commas between them.",
)
@click.option("--sigma", type=Number(0, 1000, is_open=True), default=0.6, show_default=True, help="Spread of a class.")
@click.option("--repeats", type=Whole(2, LARGE), default=1000, show_default=True, help="Independent repeats.")
@click.option("--seed", type=Whole(0, 2**32 - 1), default=0, show_default=True, help="Of all random numbers.")
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Write the figure here, as SVG; default: {FIGURE} in the current folder, and none with --json.",
)
@as_json
def gmm(
    dim: int,
    real: int,
    gamma: list[float],
    sigma: float,
    repeats: int,
    seed: int,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Simulate generated data in a mixture of two Gaussians: gap, test risk, bounds.

    The protocol is that of Zheng et al. 2023. The loss is the negative log-likelihood (NLL), in nats.
    """
    if real % 2:
        raise UserError(f"--real is {real}; allowed: even numbers, because both classes have equally many samples")
    check_figure(figure)
    from dataclasses import asdict

    from ops.files.storage import write_text
    from ops.theory.mixture import Mixture
    from ops.theory.summary import sum_up
    from pipelines.cli.terminal import progress_sink
    from pipelines.cli.theory_text import format_summary

    with progress_sink(to_stderr=True) as sink:
        found = sum_up(Mixture(dim, real, sigma), gamma, repeats=repeats, seed=seed, sink=sink)
    click.echo(json.dumps(asdict(found)) if as_json else "\n".join(format_summary(found)))
    if figure is not None or not as_json:
        from ops.theory.figure import draw_figure

        path = figure or Path(FIGURE)
        write_text(path, draw_figure(found))
        click.echo(f"figure: {path}", err=as_json)


@theory.command(short_help="Show every term of the bound for your own numbers.")
@click.option("--real", type=Whole(2, 10**12), required=True, help="Real samples.")
@click.option("--generated", type=Whole(0, 10**12), required=True, help="Generated samples.")
@click.option(
    "--divergence",
    type=Number(0, 1),
    required=True,
    help="Total variation distance of real and generated samples: 0, none, to 1. A classifier that tells them apart"
    " with accuracy a shows that it is 2a - 1 at least.",
)
@click.option(
    "--generator-stability",
    type=Number(0, 1),
    default=1.0,
    show_default=True,
    help="How far all generated samples change their distribution when one real sample is left out: 0 to 1.",
)
@click.option(
    "--loss-range",
    type=Number(1e-9, 1e9),
    default=1.0,
    show_default=True,
    help="The largest loss; 1 for the share of errors.",
)
@click.option(
    "--learner-stability",
    type=Number(0, 1e9),
    help="B, where replacing one of n training samples changes no loss by more than B / n; default: the largest loss.",
)
@as_json
def bound(
    real: int,
    generated: int,
    divergence: float,
    generator_stability: float,
    loss_range: float,
    learner_stability: float | None,
    as_json: bool,
) -> None:
    """Show every term of the general stability bound, and what it advises.

    The numbers are orders of size: the bound's constants are left out.
    """
    from dataclasses import asdict

    from ops.theory.advice import advise
    from ops.theory.bound import Premises, bound_gap
    from pipelines.cli.theory_text import format_advice, format_terms

    learner = loss_range if learner_stability is None else learner_stability
    given = Premises(real, loss_range, learner, divergence, lambda count: generator_stability)
    found, none, advice = bound_gap(given, generated), bound_gap(given, 0), advise(given, generated)
    if as_json:
        shown = {"bound": found.total, "terms": found.terms(), "without": none.total, "without_terms": none.terms()}
        click.echo(json.dumps({**shown, **asdict(advice)}))
        return
    columns = {"none generated": none, f"{generated:,} generated": found}
    click.echo("\n".join([*format_terms(columns), "", *format_advice(advice.sentences, advice.warnings)]))


@theory.command(short_help="Show how far to augment more and fewer samples, in a toy.")
@click.option(
    "--n",
    "samples",
    type=Wholes(2, LARGE),
    default="30,100,300,1000",
    show_default=True,
    metavar="NUMBERS",
    help="Samples, with commas between the numbers.",
)
@click.option(
    "--radius",
    type=Numbers(0.001, 10),
    default="0.4,0.6,0.8,0.9,1,1.1,1.2,1.3,1.4,1.6,1.8,2",
    show_default=True,
    metavar="NUMBERS",
    help="How far a view may lie from its sample, with commas between the numbers. Classes are 2 apart.",
)
@click.option(
    "--features",
    type=Whole(1, 100),
    default=2,
    show_default=True,
    help="k, the features of the encoder; eigenvalue number k + 1 is the connectivity.",
)
@click.option(
    "--connectivity-constant",
    type=Number(0, 1e9, is_open=True),
    default=8.0,
    show_default=True,
    help="c1 in the bound c1 α/λ + c2 α; from memory, unconfirmed.",
)
@click.option(
    "--labelling-constant",
    type=Number(0, 1e9),
    default=16.0,
    show_default=True,
    help="c2 in the bound; from memory, unconfirmed.",
)
@click.option("--repeats", type=Whole(2, LARGE), default=20, show_default=True, help="Independent repeats.")
@click.option("--seed", type=Whole(0, 2**32 - 1), default=0, show_default=True, help="Of all random numbers.")
@click.option(
    "--figure",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Write the figure here, as SVG; default: {GRAPH_FIGURE} in the current folder, and none with --json.",
)
@as_json
def graph(
    samples: list[int],
    radius: list[float],
    features: int,
    connectivity_constant: float,
    labelling_constant: float,
    repeats: int,
    seed: int,
    figure: Path | None,
    as_json: bool,
) -> None:
    """Show how far to augment more and fewer samples, in a toy of two Gaussians.

    The augmentation graph of AdaInf's theory (Wang et al. 2024): labelling error α, connectivity λ, their bound, and
    the radius that minimises it.
    """
    check_figure(figure)
    from dataclasses import asdict

    from ops.files.storage import write_text
    from ops.theory.best_radius import Constants, sum_up_graphs
    from pipelines.cli.terminal import progress_sink
    from pipelines.cli.theory_text import format_graphs

    constants = Constants(connectivity_constant, labelling_constant)
    with progress_sink(to_stderr=True) as sink:
        found = sum_up_graphs(
            samples, radius, features=features, repeats=repeats, seed=seed, constants=constants, sink=sink
        )
    click.echo(json.dumps(asdict(found)) if as_json else "\n".join(format_graphs(found)))
    if figure is not None or not as_json:
        from ops.theory.graph_figure import draw_graph_figure

        path = figure or Path(GRAPH_FIGURE)
        write_text(path, draw_graph_figure(found))
        click.echo(f"figure: {path}", err=as_json)


def check_figure(path: Path | None) -> None:
    """UserError unless it is an SVG in a folder that exists, or none."""
    if path is not None and (path.suffix != ".svg" or not path.parent.is_dir()):
        raise UserError(f"--figure is {str(path)!r}; allowed: a file that ends with .svg, in a folder that exists")
