"""The box's memory: one SQLite file, a module per table, and no SQL anywhere else."""
