"""What customers meet at the portal beside paying."""
