"""``python -m pytest_enterprise.discovery``."""

import sys

from pytest_enterprise.discovery.program import main

if __name__ == "__main__":
    sys.exit(main())
