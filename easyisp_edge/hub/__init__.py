"""The reference server of sync: it receives what boxes tell, keeps it once, and holds what is meant for them."""
