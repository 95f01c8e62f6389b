"""Who works at the back office, and how they prove it."""
