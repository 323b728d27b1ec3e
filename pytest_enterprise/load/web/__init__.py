"""A page of our own in Locust's web UI: live charts with the faults as bands, faults to begin and end, objectives."""
