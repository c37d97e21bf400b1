"""One module for each command: it defines ``command`` (a function) or ``app`` (a group of subcommands)."""
