"""The three ways in which Growset stops, each with its exit code.

A door (command line, Dagster asset, DVC stage) turns these into its own language; nothing else in
`ops` knows which door it runs behind.
"""


class GrowsetError(Exception):
    """Base of every error that Growset raises on purpose; the message is one readable sentence."""

    exit_code = 1


class UserError(GrowsetError):
    """A user's mistake: what, where, what is allowed. Raised before any compute starts."""

    exit_code = 2


class EnvironmentFault(GrowsetError):
    """The machine failed: disk full, folder read-only, remote unreachable. A re-run resumes."""

    exit_code = 3


class DamagedData(GrowsetError):
    """Stored data is not what was written; the message names the file and, where known, the row."""

    exit_code = 4
