"""The engines' images, built from a Debian base: Dockerfiles, and what puts their contexts together."""
