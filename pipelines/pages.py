"""Growset's own pages in the Dagster UI: the pictures of an output and the report, by the addresses in the metadata.

A request's text is only compared: with active expansions, the stage table, content hashes and the names of pictures
that a manifest lists. It never becomes part of a path, so no address leads out of the outputs.
"""

import hashlib
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from assets.addresses import HASH, PICTURES, PREFIX, REPORTS, list_pictures
from assets.looks import LOOKS
from ops.errors import GrowsetError
from ops.files.manifests import read_manifest
from ops.files.outputs import REPORT
from ops.workspaces.workspace import Workspace

LOCKED = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
KEPT = LOCKED | {"Cache-Control": "private, max-age=31536000, immutable"}  # the address holds the hash of the content
# The report shares the UI's origin, but it needs no script and no request, and its class names are the user's data.
SANDBOXED = LOCKED | {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'",
}


def add_pages(application: Starlette, workspace: Workspace) -> None:
    """Put Growset's routes in front of the application's own, the last of which answers every address."""
    application.router.routes.insert(0, build_pages(workspace))


def build_pages(workspace: Workspace) -> Mount:
    """The routes. Starlette runs these functions in threads, so that reading a file blocks no other request."""

    def show_picture(request: Request) -> Response:
        png = read_picture(workspace, **request.path_params)
        if png is None:
            return PlainTextResponse("There is no such picture; its output was made anew or is gone.", 404, LOCKED)
        return Response(png, headers=KEPT, media_type="image/png")

    def show_report(request: Request) -> Response:
        path = find_report(workspace, **request.path_params)
        if path is None:
            return PlainTextResponse("There is no such report; the expansion is inactive or has not run.", 404, LOCKED)
        return FileResponse(path, headers=SANDBOXED, media_type="text/html")

    return Mount(PREFIX, routes=[Route(PICTURES, show_picture), Route(REPORTS, show_report)])


def read_picture(workspace: Workspace, expansion: str, stage: str, content: str, name: str) -> bytes | None:
    """The bytes that the output's manifest describes, if the output still has this content; None otherwise."""
    if stage not in LOOKS or not _is_active(workspace, expansion):
        return None
    folder = workspace.output(expansion, stage)
    try:
        manifest = read_manifest(folder)
        if manifest["content"][:HASH] != content or name not in list_pictures(manifest["files"], LOOKS[stage].pictures):
            return None
        png = (folder / name).read_bytes()
    except (GrowsetError, OSError):  # not made, damaged, or replaced at this moment
        return None
    return png if hashlib.sha256(png).hexdigest() == manifest["files"][name]["sha256"] else None


def find_report(workspace: Workspace, expansion: str) -> Path | None:
    """The report of an active expansion; None if there is none."""
    if not _is_active(workspace, expansion):
        return None
    path = workspace.output(expansion, "report") / REPORT
    return path if path.is_file() else None


def _is_active(workspace: Workspace, expansion: str) -> bool:
    try:
        return expansion in workspace.expansions
    except GrowsetError:  # params.yaml is being edited
        return False
