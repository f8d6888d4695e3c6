"""Why no use case can be drafted from a file."""

from __future__ import annotations

from configs.errors import ConfigError


class CannotDraft(ConfigError):
    """The file, or what was said of it, gives no use case; the message says why and what to do."""
