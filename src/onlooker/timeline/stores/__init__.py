"""The kinds of store, one module or package each, found by name (see ``onlooker.core.plugins``)."""
