"""The command `growset docs`: the pages that came with this Growset, in a pager, or as they are for a pipe."""

import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from ops.errors import UserError
from ops.files.shipped import shipped
from ops.workspaces.workspace import suggest

MAX_WIDTH = 110  # columns of running text


class PageName(click.ParamType):
    """A page by its file's name, with or without .md."""

    name = "page"

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in find_pages() if name.startswith(incomplete)]


@click.command()
@click.argument("page", type=PageName(), required=False)
def docs(page: str | None) -> None:
    """Show a page of the documentation; without PAGE, list the pages."""
    pages = find_pages()
    if page is None:
        width = max(map(len, pages))
        for name, path in pages.items():
            click.echo(f"  {name:<{width}}  {read_title(path)}")
        click.echo("\nshow one with: growset docs PAGE")
        return
    wanted = page.removesuffix(".md").lower()
    if wanted not in pages:
        raise UserError(f"there is no page '{page}'; {suggest(wanted, list(pages))}")
    show_page(pages[wanted].read_text(encoding="utf-8"))


def find_pages() -> dict[str, Path]:
    """The pages by name, the README first."""
    return {"readme": shipped() / "README.md"} | {path.stem: path for path in sorted((shipped() / "docs").glob("*.md"))}


def read_title(path: Path) -> str:
    """The first heading of a page."""
    with path.open(encoding="utf-8") as file:
        return next(line.removeprefix("# ").strip() for line in file if line.startswith("# "))


def show_page(text: str) -> None:
    """Laid out in a pager if stdout is a terminal, else the Markdown as it is."""
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    with console.capture() as laid_out:
        console.print(Markdown(text), width=min(MAX_WIDTH, console.width))
    click.echo_via_pager(laid_out.get())
