"""Near-duplicates: perceptual fingerprints, repeats within a source, and the same clip in other sources."""

PLUGIN = "onlooker.analyzers.duplicates.analyzer:Duplicates"
