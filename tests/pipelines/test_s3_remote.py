"""An S3 remote, on moto's server at the loopback address: published object by object, pulled byte for byte, and
refused in one sentence while it cannot be reached."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import boto3
import pytest
from click.testing import Result
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

from ops.chain.publishing import publish
from ops.errors import EnvironmentFault
from ops.workspaces.workspace import Workspace
from tests.damage import find_object
from tests.publications import digest
from tests.versions import publish_with_commits
from tests.workspaces import growset, run

BUCKET = "growset"
URL = f"s3://{BUCKET}/store"
PULLED = {
    "published": set(),
    "real": {"real_images"},
    "accepted": {"real_images", "generated_images", "accepted_images"},
    "mixed": {"real_images", "generated_images", "accepted_images", "mixed_dataset"},
}


class Server:
    """moto's server, which can be stopped and started on the same port, and what its bucket holds."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self.host, self.port = self._server.get_host_and_port()
        self.url = f"http://{self.host}:{self.port}"
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST")).close()  # moto keeps buckets as long as a process
        self.client = boto3.client("s3", endpoint_url=self.url)

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address=self.host, port=self.port, verbose=False)
        self._server.start()

    def objects(self) -> dict[str, bytes]:
        """All objects by key."""
        found = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {each["Key"]: self.client.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in found}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """With an account that nobody has, and no other one within reach."""
    (tmp_path / "empty").touch()
    account = {
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(tmp_path / "empty"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "empty"), "AWS_MAX_ATTEMPTS": "1", "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in account.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(logging.getLogger("werkzeug"), "level", logging.ERROR)
    S3FileSystem.clear_instance_cache()  # a port may come again
    server = Server()
    yield server
    server.stop()


def with_s3(root: Path, server: Server) -> Path:
    """The workspace, which commits what it publishes to S3."""
    publish_with_commits(root, URL, endpointurl=server.url)
    return root


def publish_and_clone(workspace: Path, server: Server, folder: Path) -> tuple[Path, Path]:
    """The workspace after it was published to S3, and a git clone of it in `folder`."""
    root, clone = with_s3(workspace, server), folder / "clone"
    server.client.create_bucket(Bucket=BUCKET)
    publish(Workspace(root), "digits")
    run(folder, "git", "clone", "--quiet", str(root), str(clone))
    return root, clone


def assert_refused(result: Result, words: str) -> None:
    """Exit code 3 and one sentence on what the storage said."""
    sentences = [line for line in result.stderr.splitlines() if line.startswith("growset: ")]
    assert (result.exit_code, len(sentences), "Traceback" in result.stderr) == (3, 1, False), result.output
    assert words in sentences[0]
    assert sentences[0].endswith("; run it again to resume")


@pytest.mark.slow
def test_a_dataset_published_to_s3_is_pulled_byte_for_byte(
    finished_workspace: Path, server: Server, tmp_path: Path
) -> None:
    root = with_s3(finished_workspace, server)
    server.client.create_bucket(Bucket=BUCKET)
    result = growset(root, "run", "digits")
    assert result.exit_code == 0, result.output
    for key, content in server.objects().items():
        start, name = key.removeprefix("store/files/md5/").split("/")
        assert hashlib.md5(content).hexdigest() == (start + name).removesuffix(".dir")

    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(root), str(clone))
    for only, folders in PULLED.items():
        result = growset(clone, "pull", "digits", "--only", only)
        assert result.exit_code == 0, result.output
        assert digest(clone / "published") == digest(root / "published")
        assert {path.name for path in clone.glob("data/digits/*")} == folders
        for folder in folders:
            assert digest(clone / "data" / "digits" / folder) == digest(root / "data" / "digits" / folder)


@pytest.mark.slow
def test_an_object_that_somebody_deleted_is_found_missing_and_sent_again(
    finished_workspace: Path, server: Server, tmp_path: Path
) -> None:
    """`dvc push` takes it to be there, because the list of its folder's files is."""
    root, clone = publish_and_clone(finished_workspace, server, tmp_path)
    before = server.objects()
    lost = next(key for key in before if not key.endswith(".dir"))
    server.client.delete_object(Bucket=BUCKET, Key=lost)
    run(root, "dvc", "push")
    assert lost not in server.objects()
    assert_refused(growset(clone, "pull", "digits"), "The specified key does not exist")
    publish(Workspace(root), "digits")
    assert server.objects() == before
    result = growset(clone, "pull", "digits")
    assert result.exit_code == 0, result.output
    assert digest(clone / "data") == digest(root / "data")


@pytest.mark.slow
def test_an_object_that_somebody_changed_is_found_and_sent_again(
    finished_workspace: Path, server: Server, tmp_path: Path
) -> None:
    """Its ETag gives it away, whether or not the size is the same."""
    root, clone = publish_and_clone(finished_workspace, server, tmp_path)
    before = server.objects()
    oid = find_object(root, "data/digits/real_images/train-00000-of-00001.parquet")
    key = f"store/files/md5/{oid[:2]}/{oid[2:]}"
    for content in (bytes(reversed(before[key])), before[key][:-1]):
        server.client.put_object(Bucket=BUCKET, Key=key, Body=content)
        told = growset(clone, "pull", "digits")
        assert told.exit_code == 4 and key in told.output, told.output
        assert not (clone / "data").exists()
        told = growset(root, "verify", "digits")
        assert told.exit_code == 4 and "repair: growset push digits" in told.output, told.output
        told = growset(root, "run", "digits")
        assert told.exit_code == 0 and "it is sent again" in told.output, told.output
        assert server.objects() == before
    assert growset(root, "verify", "digits").exit_code == 0
    server.stop()
    assert_refused(growset(root, "verify", "digits"), "Could not connect to the endpoint URL")
    assert growset(root, "verify", "digits", "--no-remote").exit_code == 0
    server.start()


@pytest.mark.slow
def test_the_same_command_succeeds_as_soon_as_the_storage_is_reachable(
    finished_workspace: Path, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No server, no bucket, a connection that breaks off after five uploads; then all is well."""
    root = with_s3(finished_workspace, server)
    head = run(root, "git", "rev-parse", "HEAD").stdout
    server.stop()
    assert_refused(growset(root, "run", "digits"), "Could not connect to the endpoint URL")
    server.start()
    with pytest.raises(EnvironmentFault, match="failed: The specified bucket does not exist; run"):
        publish(Workspace(root), "digits")
    server.client.create_bucket(Bucket=BUCKET)

    upload, sent = S3FileSystem._put_file, []

    async def break_off(self: S3FileSystem, *arguments: object, **options: object) -> None:
        sent.append(arguments)
        if len(sent) > 5:
            raise ConnectionResetError(104, "Connection reset by peer")
        await upload(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(S3FileSystem, "_put_file", break_off)
        assert_refused(growset(root, "run", "digits"), "Connection reset by peer")
    assert len(server.objects()) == 5
    assert (run(root, "git", "rev-parse", "HEAD").stdout, run(root, "git", "tag").stdout) == (head, "")

    result = growset(root, "run", "digits")
    assert result.exit_code == 0, result.output
    assert run(root, "git", "tag").stdout.split() == ["digits/v1"]
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(root), str(clone))
    server.stop()
    assert_refused(growset(clone, "pull", "digits"), "Could not connect to the endpoint URL")
    server.start()
