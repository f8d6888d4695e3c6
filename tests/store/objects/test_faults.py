"""What is told of a storage that cannot be used: the variable, what came, and what is allowed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from configs.errors import ConfigError, SettingError
from configs.settings import CHECKOUT, read_settings
from store.errors import StorageError, StorageRefused, StorageUnavailable
from store.objects.opening import open_storage, probe_storage, storage_at
from tests.ports import closed_port
from tests.s3_servers import S3Server, make_certificate, running_s3

SECRET = "hunter2-top-secret"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/srv/ratchet", "file:///folder"),
        ("bucket/prefix", "s3://bucket/prefix"),
        ("gs://bucket", "storage.googleapis.com"),
        ("https://minio:9000/b", "AWS_ENDPOINT_URL"),
        ("s3://", "a bucket has 3 to 63"),
        ("s3://B_/x", "a bucket has 3 to 63"),
        ("s3://bucket/a//b", "parted by single slashes"),
        ("s3://bucket/../b", "parted by single slashes"),
        ("s3://bucket/a b", "parted by single slashes"),
        ("file://srv/ratchet", "file:///srv/ratchet"),
        ("file:///", "file:///srv/ratchet"),
        ("file:///srv/../etc", "file:///srv/ratchet"),
        (f"s3://AKIA:{SECRET}@bucket/x", "AWS_SECRET_ACCESS_KEY"),
        (f"s3://bucket/x?secret={SECRET}", "without [?] and #"),
        (f"http://me:{SECRET}@minio:9000", "AWS_ENDPOINT_URL"),
    ],
)
def test_an_address_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(SettingError, match=f"RATCHET_STORAGE has value .*{said}") as refused:
        read_settings({"RATCHET_STORAGE": text})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", None),
        ("  ", None),
        ("s3://models/", "s3://models"),
        ("S3://models/team/ratchet/", "s3://models/team/ratchet"),
        ("file:///srv/a%20b/", "file:///srv/a%20b"),
    ],
)
def test_an_address_is_read(text: str, url: str | None) -> None:
    assert read_settings({"RATCHET_STORAGE": text}).storage_url == url


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_ENDPOINT_URL": "minio:9000"}, "AWS_ENDPOINT_URL has value 'minio:9000'.*http://host:port"),
        ({"AWS_ENDPOINT_URL": "http://h:x"}, "AWS_ENDPOINT_URL has value .*http://host:port"),
        ({"AWS_ENDPOINT_URL": f"http://me:{SECRET}@h:1"}, "AWS_ENDPOINT_URL has value.*AWS_ACCESS_KEY_ID"),
        ({"AWS_ENDPOINT_URL_S3": "ftp://h"}, "AWS_ENDPOINT_URL_S3 has value 'ftp://h'"),
        ({"AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "yes"}, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST has value 'yes'"),
    ],
)
def test_a_variable_about_it_that_is_wrong_is_named(
    bucket: str, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=said) as refused:
        open_storage(read_settings(os.environ | {"RATCHET_STORAGE": bucket}))
    assert SECRET not in str(refused.value)


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_named() -> None:
    with pytest.raises(
        StorageRefused, match=r"RATCHET_STORAGE \(s3://no-such-bucket/x at http://127"
    ) as told:
        probe_storage(storage_at("s3://no-such-bucket/x"))
    assert "there is no such bucket; RATCHET_STORAGE has to name one that exists" in str(told.value)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageRefused, match="there is no such folder; make it, or mount it"):
        probe_storage(storage_at(f"file://{tmp_path}/not-mounted"))
    assert list(tmp_path.iterdir()) == []


def test_no_credentials_are_told(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(StorageRefused, match=r"no credentials .* set AWS_ACCESS_KEY_ID"):
        probe_storage(storage_at(bucket))


def test_a_profile_that_is_not_there_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StorageRefused, match="nobody"):
        probe_storage(storage_at(bucket))


def test_a_server_that_is_dead_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StorageUnavailable, match=f"at {endpoint}.*see AWS_ENDPOINT_URL"):
        probe_storage(storage_at(bucket))


def test_a_server_that_ends_half_way_leaves_no_half_file(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"before")
    with socket.create_server(("127.0.0.1", 0)) as server:
        reply = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
        script = (
            "import socket,sys\ns=socket.socket(fileno=int(sys.argv[1]))\n"
            f"for _ in range(9):\n c,_=s.accept(); c.recv(65536); c.sendall({reply!r}); c.close()\n"
        )
        served = subprocess.Popen(
            [sys.executable, "-c", script, str(server.fileno())], pass_fds=[server.fileno()]
        )
        try:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
            with pytest.raises(StorageUnavailable):
                storage_at(bucket).fetch("key", target)
            with pytest.raises(StorageUnavailable):
                storage_at(bucket).get("key")
        finally:
            served.kill()
            served.wait(10)
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def allowed_user(server: S3Server, name: str, policy: dict[str, Any] | None) -> tuple[str, str]:
    iam = server.client("iam")
    iam.create_user(UserName=name)
    if policy is not None:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def test_keys_that_are_wrong_are_told_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}], "Version": "2012-10-17"}
    # The first requests set things up; each one after them has to show keys that are known.
    with running_s3(tmp_path, INITIAL_NO_AUTH_ACTION_COUNT="6") as server:
        url = server.make_bucket("guarded")
        right = allowed_user(server, "right", allow)
        powerless = allowed_user(server, "powerless", None)
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)

        def probed(keys: tuple[str, str]) -> str:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys[0])
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys[1])
            try:
                probe_storage(storage_at(url))
            except StorageError as error:
                assert isinstance(error, StorageRefused)
                assert keys[0] not in str(error)
                assert keys[1] not in str(error)
                return str(error)
            return ""

        assert "AWS_ACCESS_KEY_ID is none that the server knows" in probed(("AKIANOBODYATALL00000", SECRET))
        assert "does not belong to AWS_ACCESS_KEY_ID" in probed((right[0], SECRET))
        assert "may not do that there" in probed(powerless)
        assert probed(right) == ""


def test_three_clients_trust_an_authority_of_ones_own(tmp_path: Path) -> None:
    """In a process of its own: Arrow reads its variables once."""
    certificate, key = make_certificate(tmp_path)
    script = (
        "import pyarrow as pa\n"
        "from store.errors import StorageError\n"
        "from store.objects.opening import probe_storage, storage_at\n"
        "storage = storage_at('s3://trusted/x')\n"
        "try:\n probe_storage(storage)\n"
        "except StorageError as error:\n raise SystemExit(str(error))\n"
        "files, root = storage.filesystem()\n"
        "with files.open_output_stream(root + '/arrow') as file:\n file.write(b'a')\n"
        "assert storage.get('arrow') == b'a'\n"
        "import deltalake\n"
        "url, options = storage.url + '/table', storage.delta_options()\n"
        "deltalake.write_deltalake(url, pa.table({'x': [1]}), storage_options=options)\n"
        "assert deltalake.DeltaTable(url, storage_options=options).version() == 0\n"
    )
    with running_s3(tmp_path, (certificate, key)) as server:
        client = boto3.client(
            "s3", endpoint_url=server.endpoint, region_name="us-east-1", verify=str(certificate),
            aws_access_key_id="a", aws_secret_access_key="b",
        )  # fmt: skip
        client.create_bucket(Bucket="trusted")
        trust = {"AWS_CA_BUNDLE": str(certificate), "SSL_CERT_FILE": str(certificate)}
        told = [
            subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, **server.environ, **variables},
                cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False,
            )
            for variables in (trust, {})
        ]  # fmt: skip
    assert told[0].returncode == 0, told[0].stderr[-2000:]
    assert told[1].returncode == 1
    assert "name its authority in AWS_CA_BUNDLE" in told[1].stderr
