"""Access: grants from their start to their end, and what routers ask and report by RADIUS."""
