"""How long is kept what grows with use."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from configs.schema.base import Frozen

Days = Annotated[float, Field(gt=0, le=36_500)]


class RetentionConfig(Frozen):
    """What is forgotten, and when (days: null is never); labels, their history and the ledger always stay."""

    prediction_days: Days | None = 90.0
    """Days that a prediction is kept that no label has come for; a labelled one stays with its label."""
    prediction_database_days: Annotated[float, Field(ge=1, le=36_500)] | None = None
    """Days that predictions stay in the database before they move to a table of files (null: always)."""
    quarantine_days: Days | None = 365.0
    """Days that refused rows are kept."""
    idempotency_days: Days | None = 30.0
    """Days that a request with the same `Idempotency-Key` is answered as the first was."""
    run_days: Days | None = 365.0
    """Days that runs are kept, beside the newest 100 and those that made a version that is kept."""
    drift_check_days: Days | None = None
    """Days that the numbers of a drift check are kept, some kilobytes each."""
    drift_pages: Annotated[int, Field(ge=1)] = 50
    """Evidently's pages kept, the newest; about 4 MB each."""
    mlflow_runs: Annotated[int, Field(ge=10)] = 50
    """Challengers kept in MLflow with their models, the newest, beside those that are versions."""
    snapshots: Annotated[int, Field(ge=1)] = 10
    """Snapshots kept, the newest, beside those that a version which is kept has learned from."""
    inbox_done_days: Days | None = 30.0
    """Days that a file which was read stays in `inbox/USE_CASE/done/`."""
    inbox_refused_days: Days | None = 180.0
    """Days that a file which could not be read stays in `inbox/USE_CASE/refused/`."""

    def answers_since(self, now: datetime) -> datetime | None:
        """From when on every answer is in the database, with a label or without; None: all that are kept."""
        days = [one for one in (self.prediction_days, self.prediction_database_days) if one is not None]
        return now - timedelta(days=min(days)) if days else None

    def in_database_since(self, now: datetime) -> datetime | None:
        """From when on answers that are kept are in the database; None: all are."""
        days = self.prediction_database_days
        return None if days is None else now - timedelta(days=days)
