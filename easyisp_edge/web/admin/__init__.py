"""The back office by HTTP: operations by theme, told once and served, checked and documented from that."""
