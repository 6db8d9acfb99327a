#!/usr/bin/env bash
# try.sh DIR : tries the example files on real databases.
#
# DIR holds the loaders and the truths: DIR/CASE/load.sh URL makes the database, DIR/lib/check.sh CASE SCENARIO URL
# compares every row with what the policy gives when it is applied by hand. For each of eight cases this script loads
# the rows, prepares the store, plans (the counts must be the truth's, nothing may change), runs, compares, runs again
# (nothing may change) and compares again. Then it erases single persons the same way: the plan may change nothing, the
# rows afterwards are the truth's, a second erasure finds nothing. It exits 0 when all are as they should be.
#
#   EX_HOME        an empty folder that every user may enter; the loaders keep their files there
#   EX_POSTGRES    the server for PostgreSQL   postgres://postgres@127.0.0.1:15498
#   EX_MYSQL       the server for MariaDB      mysql://root@127.0.0.1:13398
#   RETENTIOND     the program                 target/debug/retentiond beside this folder
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
shared=${1:?which folder holds the loaders and the truths?}
shared=$(cd "$shared" && pwd)
: "${EX_HOME:?set EX_HOME to an empty folder that every user may enter}"
postgres=${EX_POSTGRES:-postgres://postgres@127.0.0.1:15498}
mysql=${EX_MYSQL:-mysql://root@127.0.0.1:13398}
retentiond=${RETENTIOND:-$here/../target/debug/retentiond}
# Generated rows are dated back from here; load, run and comparison must agree.
REF=${REF:-$(date -u +%Y-%m-%dT%H:00:00Z)}
export EX_HOME REF
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

snapshot() { "${PY:-$EX_HOME/venv/bin/python}" "$shared/lib/dbsnap.py" "$1"; }

# Compares the counts of a plan or run with the truth: rows before minus rows after, table by table.
counts() { # ANSWER.json TRUTH.json SCENARIO ENTRY=TABLE...
  python3 - "$@" <<'PY'
import json, sys
answer, truth, scenario, *pairs = sys.argv[1:]
found = {}
for job in json.load(open(answer))["jobs"]:
    for step in job["steps"]:
        found[step["data"]] = found.get(step["data"], 0) + step["rows"]
tables = json.load(open(truth))["scenarios"][scenario]
expected = {entry: tables[table]["before"] - tables[table]["after"] for entry, table in (pair.split("=") for pair in pairs)}
if len(pairs) != len(tables) or found != expected:
    sys.exit(f"counts differ: expected {expected}, found {found}")
PY
}

try() { # CASE SCENARIO ENGINE URL CONFIG STORE ENTRY=TABLE...
  local case=$1 scenario=$2 engine=$3 url=$4 config=$here/$1/$5 store=$6 prefix=${1^^}
  shift 6
  local truth=$shared/$case/truth.$engine.json at=$work/$case-$scenario-$engine
  export "${prefix}_URL=$url" "${prefix}_STATE_URL=sqlite:$at.state.db"
  "$shared/$case/load.sh" "$url" >"$at.log" 2>&1 || { cat "$at.log" >&2; return 1; }
  # A table of the operator's own that the scenario fills.
  for own in "$here/$case"/*."$engine.sql"; do
    [ "$scenario" = rollup ] && [ -e "$own" ] || continue
    (. "$shared/lib/lib.sh"; run_sql "$url" <"$own") || return 1
  done
  "$retentiond" --config "$config" init "$store" >/dev/null || return 1
  "$retentiond" --config "$config" check >"$at.log" 2>&1 || { cat "$at.log" >&2; return 1; }
  snapshot "$url" >"$at.before" || return 1
  "$retentiond" --config "$config" --format json plan >"$at.plan" || return 1
  counts "$at.plan" "$truth" "$scenario" "$@" || return 1
  snapshot "$url" >"$at.planned" || return 1
  cmp -s "$at.before" "$at.planned" || { echo "plan changed the database" >&2; return 1; }
  "$retentiond" --config "$config" --format json run --all >"$at.run" || return 1
  counts "$at.run" "$truth" "$scenario" "$@" || return 1
  "$shared/lib/check.sh" "$case" "$scenario" "$url" >"$at.log" 2>&1 || { cat "$at.log" >&2; return 1; }
  snapshot "$url" >"$at.after" || return 1
  "$retentiond" --config "$config" run --all >/dev/null || return 1
  snapshot "$url" >"$at.again" || return 1
  cmp -s "$at.after" "$at.again" || { echo "a second run changed the database" >&2; return 1; }
  "$shared/lib/check.sh" "$case" "$scenario" "$url" >"$at.log" 2>&1 || { cat "$at.log" >&2; return 1; }
}

erase() { # CASE SCENARIO ENGINE URL CONFIG STORE PERSON...
  local case=$1 scenario=$2 engine=$3 url=$4 config=$here/$1/$5 store=$6 prefix=${1^^}
  shift 6
  local at=$work/$scenario-$engine plan
  export "${prefix}_URL=$url" "${prefix}_STATE_URL=sqlite:$at.state.db"
  "$shared/$case/load.sh" "$url" >"$at.log" 2>&1 || { cat "$at.log" >&2; return 1; }
  "$retentiond" --config "$config" init "$store" >/dev/null || return 1
  snapshot "$url" >"$at.before" || return 1
  "$retentiond" --config "$config" --format json erase "$@" --dry-run >"$at.plan" 2>"$at.log" || { cat "$at.log" >&2; return 1; }
  snapshot "$url" >"$at.planned" || return 1
  cmp -s "$at.before" "$at.planned" || { echo "the plan changed the database" >&2; return 1; }
  plan=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["jobs"][0]["plan"])' <"$at.plan")
  "$retentiond" --config "$config" --format json erase "$@" --yes-i-mean "$plan" >"$at.run" 2>"$at.log" || { cat "$at.log" >&2; return 1; }
  python3 - "$at.plan" "$at.run" <<'PY' || return 1
import json, sys
planned, done = (json.load(open(name)) for name in sys.argv[1:])
if planned["jobs"][0]["rows"] != done["jobs"][0]["rows"] or done["receipt"] is None:
    sys.exit(f"planned and done differ: {planned} {done}")
PY
  "$shared/lib/check.sh" "$case" "$scenario" "$url" >"$at.log" 2>&1 || { cat "$at.log" >&2; return 1; }
  snapshot "$url" >"$at.after" || return 1
  # Nothing is left to confirm.
  "$retentiond" --config "$config" erase "$@" >"$at.log" 2>&1 || { cat "$at.log" >&2; return 1; }
  grep -q '0 rows in all' "$at.log" || { cat "$at.log" >&2; return 1; }
  snapshot "$url" >"$at.again" || return 1
  cmp -s "$at.after" "$at.again" || { echo "a second erasure changed the database" >&2; return 1; }
}

attempt() {
  report try "$@"
}

attempt_erasure() {
  report erase "$@"
}

report() {
  if "$@"; then echo "ok      $2 $3 on $4"; else echo "FAILED  $2 $3 on $4"; failed=1; fi
}

attempt chinook invoices lite "sqlite://$EX_HOME/ex_chinook.db" jobs.toml shop invoices=Invoice invoice_lines=InvoiceLine
attempt chinook invoices my "$mysql/ex_chinook" jobs.toml shop invoices=Invoice invoice_lines=InvoiceLine
attempt chinook invoices pg "$postgres/ex_chinook" postgres.toml shop invoices=invoice invoice_lines=invoice_line
attempt northwind orders lite "sqlite://$EX_HOME/ex_northwind.db" jobs.toml trade orders=Orders "order_details=Order Details"
attempt radius purge pg "$postgres/ex_radius" jobs.toml radius sessions=radacct logins=radpostauth
attempt radius purge my "$mysql/ex_radius" jobs.toml radius sessions=radacct logins=radpostauth
attempt radius rollup pg "$postgres/ex_radius" rollup.toml radius sessions=radacct
attempt radius rollup my "$mysql/ex_radius" rollup.toml radius sessions=radacct

for engine in lite my pg; do
  case $engine in
    lite) url=sqlite://$EX_HOME/ex_chinook.db file=jobs.toml tax=tax.toml ;;
    my) url=$mysql/ex_chinook file=jobs.toml tax=tax.toml ;;
    pg) url=$postgres/ex_chinook file=postgres.toml tax=postgres-tax.toml ;;
  esac
  attempt_erasure chinook erase5_full $engine "$url" $file shop --customer 5
  attempt_erasure chinook erase5_hold $engine "$url" $tax shop --customer 5
  attempt_erasure chinook erase_employee2 $engine "$url" $file shop --user 2
done
attempt_erasure northwind erase_savea_full lite "sqlite://$EX_HOME/ex_northwind.db" jobs.toml trade --customer SAVEA
attempt_erasure northwind erase_alfki_hold lite "sqlite://$EX_HOME/ex_northwind.db" kept.toml trade --customer ALFKI
for engine in pg my; do
  case $engine in pg) url=$postgres/ex_radius ;; my) url=$mysql/ex_radius ;; esac
  attempt_erasure radius erase_jose $engine "$url" jobs.toml radius --customer name=jose
  attempt_erasure radius erase_obrien $engine "$url" jobs.toml radius --customer "name=o'brien%_"
done
exit "$failed"
