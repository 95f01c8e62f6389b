"""The router as RADIUS speaks of it: it asks who may go online, and reports what was used."""
