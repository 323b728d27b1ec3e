# Debian's prometheus-alertmanager, unpacked rather than installed: installing starts daemons and adds users.
ARG BASE
FROM ${BASE}
RUN apt-get update -q \
 && mkdir /tmp/deb && cd /tmp/deb && chmod 777 . \
 && apt-get download -q prometheus-alertmanager \
 && dpkg -x *.deb . \
 && install -m 755 usr/bin/prometheus-alertmanager /usr/local/bin/ \
 && ln -s prometheus-alertmanager /usr/local/bin/alertmanager \
 && mkdir -p /usr/share/prometheus && cp -a usr/share/prometheus/. /usr/share/prometheus/ \
 && rm -rf /tmp/deb /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/*
CMD ["prometheus-alertmanager"]
