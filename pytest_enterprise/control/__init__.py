"""The control interface of a stack that ``pytest-enterprise up`` holds: what there is, and faults to begin and end."""
