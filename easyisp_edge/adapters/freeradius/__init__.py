"""FreeRADIUS by its SQL tables: rows for its users, usage from its accounting, and its configuration."""
