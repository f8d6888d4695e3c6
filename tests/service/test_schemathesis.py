"""The OpenAPI document against the service, by cases that schemathesis makes of it.

Whatever is sent: no 5xx, no status, media type, header or answer that is not described. Streams of
progress are left out here, as they end with their run; `test_retraining` reads them.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from PIL import Image
from schemathesis.checks import CHECKS

from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService
from tests.service.listening import listening

pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
