"""The feeling of what is said."""

PLUGIN = "onlooker.analyzers.sentiment.analyzer:Sentiment"
