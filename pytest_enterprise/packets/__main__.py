"""``python -m pytest_enterprise.packets``."""

import sys

from pytest_enterprise.packets.program import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
