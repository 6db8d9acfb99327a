#!/usr/bin/env bash
# report.sh [ROWS]: a report about a user with ROWS contacts (100 000) among as many of others, on PostgreSQL, against
# `COPY … TO STDOUT` of the very same rows: how long reading and writing take, and how much memory. Prints what it measures;
# PROGRAM is another binary than target/release/retentiond.
#
#   RETENTIOND_SERVERS=bench tests/support/servers.sh run benches/report.sh
set -euo pipefail
cd "$(dirname "$0")/.."

rows=${1:-100000}
program=${PROGRAM:-target/release/retentiond}
base=${RETENTIOND_TEST_POSTGRES:?run it within tests/support/servers.sh}
folder=$(mktemp -d)
name=report_bench_$$
trap 'rm -rf "$folder"; psql -Xq -d "$base/postgres" -c "DROP DATABASE IF EXISTS $name" >/dev/null' EXIT
psql -Xq -d "$base/postgres" -c "CREATE DATABASE $name"
url=$base/$name

psql -Xq -v ON_ERROR_STOP=1 -d "$url" <<SQL
CREATE TABLE users (id BIGINT PRIMARY KEY, login_id VARCHAR(80) NOT NULL);
INSERT INTO users VALUES (7, 'agent7'), (8, 'agent8');
$(sed '/^CREATE TABLE contact_events/,$d' migrations/contact_center/postgres/operative/*_create/up.sql)
INSERT INTO contacts (id, channel, direction, queue_id, agent_id, caller_number, caller_email, caller_name, client_ip, subject,
    disposition, started_at, answered_at, ended_at)
SELECT n, 'call', 'in', (ARRAY['sales', 'support', 'claims'])[1 + n % 3], 7 + n % 2, '+3584' || n, 'c' || n || '@example.org',
    'Customer ' || n, NULL, 'Question ' || n || ' about an order', 'solved', timestamptz '2025-01-01' + n * interval '3 minutes',
    timestamptz '2025-01-01' + n * interval '3 minutes' + interval '9 seconds',
    timestamptz '2025-01-01' + n * interval '3 minutes' + interval '99 seconds'
FROM generate_series(1, 2 * $rows) n;
VACUUM ANALYZE;
SQL

cat >"$folder/jobs.toml" <<TOML
timezone = "Europe/Helsinki"
[state]
url = "sqlite:$folder/state.db"
[stores.operative]
url = "$url"
ledger = false
[people.user]
data = "users"
identifiers = { login = "login_id" }
[people.customer]
identifiers = ["phone", "email", "name", "ip"]
[categories.calls]
title = "Calls"
purpose = "To serve"
legal_basis = "Art. 6(1)(b) GDPR"
[data.users]
store = "operative"
table = "users"
category = "calls"
[data.contacts]
store = "operative"
table = "contacts"
category = "calls"
user = [{ column = "agent_id" }, { column = "transferred_to" }]
customer = { phone = "caller_number", email = "caller_email", name = "caller_name", ip = "client_ip" }
time = "ended_at"
[jobs.contacts]
kind = "retention_purge"
data = ["contacts"]
keep = "13 months"
[[jobs.contacts.override]]
where = { queue_id = ["sales", "claims"] }
keep = "2 years"
TOML
echo 7 >"$folder/whom"

best() { # best FILE: the least of the numbers
    sort -n "$1" | head -n 1
}

for round in 1 2 3 4 5; do
    start=$(date +%s.%N)
    psql -Xq -d "$url" -c "COPY (SELECT * FROM contacts WHERE agent_id = 7 OR transferred_to = 7 ORDER BY id) TO STDOUT" >"$folder/copy"
    end=$(date +%s.%N)
    echo "$end $start" | awk '{ print $1 - $2 }' >>"$folder/copies"
    RETENTIOND_CONFIG=$folder/jobs.toml TMPDIR=$folder /usr/bin/env time -f %M -o "$folder/memory" \
        "$program" --format json report --user "@$folder/whom" --formats json,csv --out "$folder/out$round" >"$folder/answer"
    python3 -c "
import json, sys
answer = json.load(open('$folder/answer'))
assert answer['rows'] == $rows + 1, answer['rows']
print(answer['took']['read_seconds'], answer['took']['write_seconds'])" >>"$folder/took"
    cat "$folder/memory" >>"$folder/memories"
    rm -r "$folder/out$round"
done
cut -d ' ' -f 1 "$folder/took" >"$folder/reads"
cut -d ' ' -f 2 "$folder/took" >"$folder/writes"
awk -v copy="$(best "$folder/copies")" -v read="$(best "$folder/reads")" -v write="$(best "$folder/writes")" \
    -v memory="$(sort -n "$folder/memories" | tail -n 1)" -v rows="$rows" 'BEGIN {
    printf "%d rows: COPY %.3f s; read %.3f s (%.2f of it); JSON and CSV written in %.3f s more (%.2f); most memory %.1f MiB\n",
        rows, copy, read, read / copy, write, write / copy, memory / 1024 }'
