"""What two senses say together: who of those seen speaks, who speaks unseen, who speaks unheard, and more."""

PLUGIN = "onlooker.analyzers.facts.analyzer:Facts"
