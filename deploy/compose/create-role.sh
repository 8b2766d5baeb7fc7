#!/bin/sh
# Run once by the image of PostgreSQL, when its data folder is new: a role that owns its database and nothing else.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --set=password="$DATABASE_PASSWORD" <<'SQL'
create role countersign login password :'password';
create database countersign owner countersign;
revoke all on database countersign from public;
SQL
