"""This box and its hub, kept in step."""
