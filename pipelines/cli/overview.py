"""The list of commands that `growset --help` shows: in the order of use, under headings, one short line each."""

import click

SECTIONS: dict[str, dict[str, str]] = {
    "Before a run": {
        "init": "Make a workspace for your images, with a first recipe.",
        "inspect": "Look for duplicates, label errors and outliers in your images.",
        "check": "Find mistakes in recipes. Nothing is computed.",
        "plan": "Show how many images a run would draw, and what it costs.",
    },
    "The run, and its result": {
        "run": "Run the whole chain, or what is left of it.",
        "status": "Show which stages are current, and what is published.",
        "report": "Print the path of the report, which explains the verdict.",
        "explore": "Make a page to browse real, accepted and rejected images.",
        "funnel": "Count the drawn images: rejected by which rule, and accepted.",
        "generate": "Draw more images from a trained generator.",
    },
    "More recipes": {
        "new": "Copy a recipe under a new name.",
        "activate": "Add a recipe to the active expansions.",
        "deactivate": "Remove one from them. Its data stays.",
        "compare": "Show recipes on the same images side by side.",
        "recommend": "Race recipes on validation; judge the winner on test images.",
    },
    "Questions": {
        "study": "Run a study of many trainings, or what is left of it.",
        "theory": "Simulate and bound what generated data can do.",
    },
    "Sharing": {
        "export": "Write the published dataset for another tool.",
        "versions": "List the published versions.",
        "diff": "Compare two versions.",
        "commit": "Commit a published dataset to git, so that a clone can pull it.",
        "push": "Send published data to the DVC remote.",
        "pull": "Fetch an expansion's data from the DVC remote.",
        "verify": "Check every image, file and link for damage.",
    },
    "Help and upkeep": {
        "docs": "Read the documentation.",
        "upgrade": "Add what a workspace of an older Growset lacks.",
        "completion": "Print a script that completes commands in your shell.",
        "ui": "Start the Dagster UI on this machine.",
        "materialize": "Run one stage. dvc.yaml calls this.",
        "bench": "Repeat a benchmark. For clones of the repository.",
    },
}
ORDER = [name for commands in SECTIONS.values() for name in commands]


class OrderedGroup(click.Group):
    """Commands in the order of SECTIONS; a command that is not there comes last, under `Others`."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(self.commands, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.commands))
        others = {name: self.commands[name].get_short_help_str() for name in self.commands if name not in ORDER}
        for heading, commands in (*SECTIONS.items(), ("Others", others)):
            rows = [(f"{name:<{width}}", text) for name, text in commands.items() if name in self.commands]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
