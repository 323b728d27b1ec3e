"""``python -m pytest_enterprise.resolver``."""

import sys

from pytest_enterprise.resolver.program import main

if __name__ == "__main__":
    sys.exit(main())
