"""The rules, one in a file; see `onlooker.analyzers.facts.rule`."""
