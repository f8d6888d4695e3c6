"""What a server of S3 answers, in words: which variable is at fault, and what to do."""

from __future__ import annotations

import re

from configs.addresses.storage_url import VARIABLE
from store.errors import StorageError, StorageRefused, StorageSilent, StorageUnavailable

_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_REGION = "AWS_REGION has to be the region of the bucket"
_FORBIDDEN = f"{_KEYS} may not do that there; they have to list, read, write and delete below {VARIABLE}"
_REFUSED = {
    "NoSuchBucket": f"there is no such bucket; {VARIABLE} has to name one that exists: Ratchet makes none",
    "InvalidBucketName": f"the bucket has no name that is allowed there; see {VARIABLE}",
    "InvalidAccessKeyId": "AWS_ACCESS_KEY_ID is none that the server knows",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID",
    "ExpiredToken": f"AWS_SESSION_TOKEN has expired; set it anew, with {_KEYS}",
    "InvalidToken": f"AWS_SESSION_TOKEN does not belong to {_KEYS}",
    "AccessDenied": _FORBIDDEN,
    "403": _FORBIDDEN,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it",
}
_WITHOUT = {
    "SSLError": "its certificate is not trusted here; name its authority in AWS_CA_BUNDLE and SSL_CERT_FILE",
    "NoCredentialsError": f"no credentials are to be found; set {_KEYS}",
    "PartialCredentialsError": f"half of the credentials are to be found; set {_KEYS}",
    "ProfileNotFound": "AWS_PROFILE names no profile that there is",
    "CredentialRetrievalError": f"credentials cannot be fetched; set {_KEYS}, or mend the profile",
    "TokenRetrievalError": f"credentials cannot be fetched; sign in anew, or set {_KEYS}",
}


def is_missing(error: Exception) -> bool:
    """Whether there is no such object."""
    return _code(error) in ("NoSuchKey", "404")


def is_conflict(error: Exception) -> bool:
    """Whether there is an object already, which was not to be replaced."""
    return any(
        code in ("PreconditionFailed", "412", "ConditionalRequestConflict")
        for code in (_code(error), _code(error.__cause__), _code(error.__context__))
    )


def fault_of(url: str, place: str, error: Exception) -> StorageError:
    """What to tell of any other answer, or of none.

    Args:
        place: where the server is, as it may be shown.
    """
    code, where = _code(error) or _code(error.__context__), f"{url} at {place}"
    if code in _REFUSED:
        return StorageRefused(where, _REFUSED[code])
    if (name := type(error).__name__) in _WITHOUT:
        return StorageRefused(where, _WITHOUT[name])
    if code and not code.startswith("5") and code not in ("InternalError", "ServiceUnavailable", "SlowDown"):
        return StorageRefused(where, f"it refuses: {_plain(error)}")
    what = f"it answers {code}" if code else _plain(error)
    kind = StorageSilent if name == "ReadTimeoutError" else StorageUnavailable
    return kind(where, f"{what}; see AWS_ENDPOINT_URL and the server")


def _code(error: BaseException | None) -> str:
    """What S3 calls the fault; empty: it did not say anything."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _plain(error: Exception) -> str:
    """In one line, without what addresses may have in them."""
    text = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"//[^/\s\"'@]*@", "//...@", re.sub(r"\?[^\s\"']*", "?...", text))[:300]
