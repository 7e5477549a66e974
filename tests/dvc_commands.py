"""DVC's commands, each in a process of its own that is forked from one which has loaded DVC: loading takes longer than
most commands do."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

SERVER = """
import json, os, sys

import dvc.repo
from dvc.cli import main
from dvc.cli.parser import get_main_parser

get_main_parser()
for line in sys.stdin:
    task = json.loads(line)
    child = os.fork()
    if child == 0:
        os.chdir(task["root"])
        os.environ.clear()
        os.environ.update(task["environment"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(task[name], os.O_WRONLY), number)
        sys.argv = ["dvc", *task["arguments"]]
        sys.exit(main(task["arguments"]))
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""
LOCK = threading.Lock()


def run_dvc(root: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`dvc` with `arguments` in `root`, to its end."""
    with tempfile.TemporaryDirectory() as name, LOCK:
        printed = {stream: Path(name) / stream for stream in ("stdout", "stderr")}
        for path in printed.values():
            path.touch()
        server, files = start_server(), {stream: str(path) for stream, path in printed.items()}
        assert server.stdin is not None and server.stdout is not None
        task = {"root": str(root), "arguments": list(arguments), "environment": dict(environment), **files}
        server.stdin.write(json.dumps(task) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        told = {stream: path.read_text(encoding="utf-8") for stream, path in printed.items()}
        return subprocess.CompletedProcess(["dvc", *arguments], code, **told)


@cache
def start_server() -> subprocess.Popen[str]:
    """The process that the commands are forked from; it ends with this one, which holds its standard input."""
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(server.communicate)
    return server
