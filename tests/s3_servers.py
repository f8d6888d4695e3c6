"""A real server of S3's protocol for tests: moto's, in a process of its own."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.ports import free_port

START_SECONDS = 60
KEY, SECRET = "AKIARATCHETTESTS", "secret-of-the-tests"


@dataclass
class S3Server:
    """Where it answers, and its process."""

    endpoint: str
    process: subprocess.Popen[bytes]

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which clients reach it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str = "s3", key: str = KEY, secret: str = SECRET) -> Any:
        """boto3's own client of it."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    def make_bucket(self, name: str) -> str:
        """A bucket that is empty; returns its address."""
        self.client().create_bucket(Bucket=name)
        return f"s3://{name}"


@contextmanager
def running_s3(
    folder: Path, certificate: tuple[Path, Path] | None = None, host: str = "127.0.0.1", **variables: str
) -> Iterator[S3Server]:
    """moto's server on a free port, with its log in a folder.

    Args:
        host: address of this machine that it listens on.
        certificate: files of a certificate and of its key, for TLS.
    """
    port = free_port()
    endpoint = f"{'http' if certificate is None else 'https'}://{host}:{port}"
    # A working directory elsewhere than the checkout, whose packages are not its.
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    if certificate is not None:
        command += ["-s", "-c", str(certificate[0]), "-k", str(certificate[1])]
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | variables, cwd=folder, stdout=log, stderr=log)
    try:
        _wait_for(endpoint, process, folder / "s3.log")
        yield S3Server(endpoint, process)
    finally:
        process.kill()
        process.wait(20)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of loopback that vouches for itself, and its key; no authority, as Delta wants it."""
    certificate, key = folder / "s3.crt", folder / "s3.key"
    options = ("subjectAltName=DNS:localhost,IP:127.0.0.1", "basicConstraints=critical,CA:FALSE")
    added = [word for option in options for word in ("-addext", option)]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         *added, "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def _trusting() -> ssl.SSLContext:
    """Whoever waits for a server need not know that it is the right one."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _wait_for(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            with urlopen(f"{endpoint}/moto-api/", timeout=1, context=_trusting()):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"no S3 server within {START_SECONDS} s: {log.read_text()[-2000:]}")
