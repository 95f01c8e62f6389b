"""The hub: what it is asked and what it says, on the wire."""
