"""Addresses of web servers as they are shown: MLflow's and Prefect's may hold a user and a password."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def shown(url: str) -> str:
    """An address without the user and password that may stand in it.

    >>> shown("https://me:secret@mlflow.example/api"), shown("/a/folder@here")
    ('https://mlflow.example/api', '/a/folder@here')
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
