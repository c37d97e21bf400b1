"""Plans one decode for many analyzers and runs it: bounded, resumable, in parallel by file or by segment."""
