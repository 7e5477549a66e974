"""When a training is worth a process of its own. It loads nothing, so that a cost can be estimated without torch."""

WORKER_SHARE = 20_000  # training images (about ten seconds of one core) that make a process worth starting
