# Debian's etcd-server, unpacked rather than installed: installing starts daemons and adds users.
ARG BASE
FROM ${BASE}
RUN apt-get update -q \
 && mkdir /tmp/deb && cd /tmp/deb && chmod 777 . \
 && apt-get download -q etcd-server \
 && dpkg -x *.deb . \
 && install -m 755 usr/bin/etcd /usr/local/bin/ \
 && rm -rf /tmp/deb /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/*
CMD ["etcd"]
