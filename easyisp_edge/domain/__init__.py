"""What the business says: pure, without waiting, input, output or a clock."""
