"""The hub's tables, on PostgreSQL or, to try it out, SQLite. All of the hub's SQL is here."""
