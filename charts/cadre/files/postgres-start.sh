#!/bin/sh
# Makes the database on first start, then becomes Postgres. Certificates that change are taken up at once.
set -eu
for folder in /usr/lib/postgresql/*/bin; do PATH="$PATH:$folder"; done
export PATH PGDATA=/var/lib/cadre/data

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # made beside its place and moved there at once: an interrupted start leaves nothing half
  rm -rf "$PGDATA.new"
  # initdb asks for the name of its user, which an image need not have: the official one brings this for that
  if ! getent passwd "$(id -u)" > /dev/null; then
    for wrapper in /usr/lib/libnss_wrapper.so /usr/lib/*/libnss_wrapper.so; do
      if [ -s "$wrapper" ]; then
        echo "cadre:x:$(id -u):$(id -g)::/tmp:/bin/false" > /tmp/passwd
        echo "cadre:x:$(id -g):" > /tmp/group
        export LD_PRELOAD="$wrapper" NSS_WRAPPER_PASSWD=/tmp/passwd NSS_WRAPPER_GROUP=/tmp/group
      fi
    done
  fi
  initdb --pgdata="$PGDATA.new" --username=cadre --pwfile=/etc/cadre/password/password --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 --data-checksums
  echo "CREATE DATABASE cadre" | postgres --single -D "$PGDATA.new" postgres
  mv "$PGDATA.new" "$PGDATA"
  unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
fi
chmod 0700 "$PGDATA"  # Postgres refuses what a volume's group may read

have=$(cut -d. -f1 "$PGDATA/PG_VERSION")
want=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
if [ "$have" != "$want" ]; then
  echo "The data is of Postgres $have and this image is Postgres $want: dump it with the former image and restore it with this one (docs/kubernetes.md)." >&2
  exit 1
fi

certificates() { cat /etc/cadre/tls/* | cksum; }
(
  before=$(certificates)
  while sleep 30 && kill -0 $$ 2> /dev/null; do
    now=$(certificates)
    if [ "$now" != "$before" ] && kill -HUP $$; then before=$now; fi
  done
) &

exec postgres -c hba_file=/etc/cadre/postgres/pg_hba.conf -c listen_addresses='*' -c unix_socket_directories=/tmp \
  -c ssl=on -c ssl_cert_file=/etc/cadre/tls/tls.crt -c ssl_key_file=/etc/cadre/tls/tls.key \
  -c ssl_min_protocol_version=TLSv1.2 -c password_encryption=scram-sha-256 -c max_connections=200
