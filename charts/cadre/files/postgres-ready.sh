#!/bin/sh
for folder in /usr/lib/postgresql/*/bin; do PATH="$PATH:$folder"; done
exec pg_isready --quiet --host=/tmp --username=cadre --dbname=cadre
