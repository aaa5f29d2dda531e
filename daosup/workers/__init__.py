"""What runs in worker processes: one published or mirrored segment each."""
