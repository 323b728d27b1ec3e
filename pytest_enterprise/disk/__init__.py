"""A disk for one engine, whose faults can be played: a program of its own (FUSE) that passes on to a directory.

``python -m pytest_enterprise.disk BACKING MOUNTPOINT NAME SEED``
"""
