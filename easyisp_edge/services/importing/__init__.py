"""Users that somebody else sold, taken over."""
