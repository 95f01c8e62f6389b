"""What the business does, a story a file."""
