"""When a step is tried again: where a remote may fail for a while. The command line tells the fault at once instead."""

import dagster as dg

REMOTE = dg.RetryPolicy(max_retries=3, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def find_policy(retries: bool) -> dg.RetryPolicy | None:
    """The policy of a step that asks a remote: up to three more tries, after about 30, 60 and 120 seconds."""
    return REMOTE if retries else None
