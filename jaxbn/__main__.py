"""`python -m jaxbn` is the command `jaxbn`."""

import sys

from jaxbn.cli import main

if __name__ == "__main__":
    sys.exit(main())
