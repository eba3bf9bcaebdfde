"""What happened, counted honestly."""
