"""Routers: what stands on them made equal to what was bought."""
