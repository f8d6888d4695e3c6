"""Which version is production: registry, ledger, promotion, rollback, and how it fares once labels come."""
