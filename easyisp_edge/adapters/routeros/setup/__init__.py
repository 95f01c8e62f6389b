"""A router's whole hotspot set-up: what it should be, what is to change, and how to change it without breaking it."""
