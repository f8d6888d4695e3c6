"""Which version is production: registry, ledger, promotion, rollback, live quality; not which is better."""
