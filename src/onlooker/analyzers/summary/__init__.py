"""The sentences that sum up what is said."""

PLUGIN = "onlooker.analyzers.summary.analyzer:Summary"
