# Python for our own programs and for services under test.
ARG BASE
FROM ${BASE}
RUN apt-get update -q \
 && apt-get install -y -q --no-install-recommends python3 \
 && python3 -c 'import pathlib; pathlib.Path("/usr/lib/python3/dist-packages/enterprise.pth").write_text("/opt/enterprise\n")' \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/log/* /usr/share/doc /usr/share/man \
 && mkdir -p /opt/enterprise
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
CMD ["python3"]
