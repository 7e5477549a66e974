"""An SSH remote: a real SFTP server in this process, a real publication, a real pull."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from tests.publications import digest
from tests.versions import publish_with_commits
from tests.workspaces import growset, run


class Server(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("tester", "secret")


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server on the loopback address that lets one account in, by password."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> "asyncssh.SSHAcceptor":
        key = asyncssh.generate_private_key("ssh-ed25519")
        return await asyncssh.listen("127.0.0.1", 0, server_factory=Server, server_host_keys=[key], sftp_factory=True)

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    yield acceptor.get_port()
    loop.call_soon_threadsafe(acceptor.close)
    asyncio.run_coroutine_threadsafe(acceptor.wait_closed(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


def test_a_dataset_published_over_ssh_is_pulled_byte_for_byte(
    finished_workspace: Path, port: int, tmp_path: Path
) -> None:
    url = f"ssh://tester@127.0.0.1:{port}{tmp_path}/storage"
    publish_with_commits(finished_workspace, url, password="secret", allow_agent="false")
    result = growset(finished_workspace, "run", "digits")
    assert result.exit_code == 0, result.output
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(finished_workspace), str(clone))
    result = growset(clone, "pull", "digits")
    assert result.exit_code == 0, result.output
    for folder in ("data", "published"):
        assert digest(clone / folder) == digest(finished_workspace / folder)
