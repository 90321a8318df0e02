"""``python -m protdiff``."""

from protdiff.cli import main

if __name__ == "__main__":
    main()
