"""``python -m pytest_enterprise.proxy``."""

import sys

from pytest_enterprise.proxy.program import main

sys.exit(main())
