"""``python -m onlooker`` is the command line."""

from __future__ import annotations

from onlooker.cli.main import main

if __name__ == "__main__":
    main()
