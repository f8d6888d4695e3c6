"""Which flow runs of the pool a worker starts: those of use cases that it has a file of.

Workers of several homes may serve one pool, and have different use cases.
"""

from __future__ import annotations

import logging
from abc import ABC
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.workers.process import ProcessWorker

from configs.errors import ConfigError, UnknownUseCase
from configs.loading import load_selected

log = logging.getLogger("prefect.worker.ratchet")


# With ABC among its bases Prefect does not take it for what it starts for pools of the type "process".
class KnownRunsWorker(ProcessWorker, ABC):
    """Leaves the flow runs of other use cases to workers that have them; here they could not but fail."""

    def __init__(self, config_dirs: Sequence[Path], **options: Any) -> None:
        super().__init__(**options)
        self.config_dirs = config_dirs
        self._left: set[str] = set()

    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        due = await super()._get_scheduled_flow_runs()
        return [one for one in due if self._knows(one.flow_run.parameters.get("use_case"))]

    def _knows(self, use_case: Any) -> bool:
        try:
            if isinstance(use_case, str):
                load_selected(self.config_dirs, [use_case])
        except UnknownUseCase:
            if use_case not in self._left:
                self._left.add(use_case)
                log.warning("runs of %s are left to workers that have its file: none here has it", use_case)
            return False
        except ConfigError:
            pass  # the run says what is wrong with it
        return True
