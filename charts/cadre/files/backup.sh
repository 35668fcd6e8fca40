#!/bin/sh
# One dump, complete or not there at all; then the oldest go.
set -eu
for folder in /usr/lib/postgresql/*/bin; do PATH="$PATH:$folder"; done
cd /backup
name="cadre-$(date -u +%Y%m%dT%H%M%SZ).dump"
rm -f ./*.partial
pg_dump --format=custom --dbname="$CADRE_DATABASE_URL" --file="$name.partial"
pg_restore --list "$name.partial" > /dev/null
mv "$name.partial" "$name"
echo "wrote $name, $(wc -c < "$name") bytes"
ls -1 cadre-*.dump | sort -r | tail -n "+$((CADRE_BACKUP_KEEP + 1))" | while read -r old; do
  rm -f "$old"
  echo "removed $old"
done
