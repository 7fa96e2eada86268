"""The schema's history. Applied by :func:`guard.store.migrate.migrate` when a store opens."""
