# Postgres for tests, of the base's own packages, where the official image cannot be pulled.
ARG BASE
FROM ${BASE}
RUN apt-get update -q \
 && mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
 && useradd --system --uid 10001 --user-group --no-create-home --home-dir /tmp cadre
USER 10001:10001
