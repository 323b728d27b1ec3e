"""``python -m pytest_enterprise.load.native FD``."""

from pytest_enterprise.load.native.program import main

if __name__ == "__main__":
    main()
