"""Learning: from labelled video to models. ``datasets`` holds the labelled samples."""
