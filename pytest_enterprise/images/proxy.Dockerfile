# This package with what its own programs need: the fault proxy, discovery, and the resolver.
ARG BASE
FROM ${BASE}
COPY site /opt/enterprise
COPY package /opt/enterprise
CMD ["python3", "-m", "pytest_enterprise.proxy"]
