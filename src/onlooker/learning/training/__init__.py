"""Training: batches, the loop that reads top to bottom, its optimisers and what a run leaves behind."""
