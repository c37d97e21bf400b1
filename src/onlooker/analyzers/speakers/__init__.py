"""Who spoke when, by voice."""

PLUGIN = "onlooker.analyzers.speakers.analyzer:Speakers"
