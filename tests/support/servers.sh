#!/usr/bin/env bash
# servers.sh: private PostgreSQL and MariaDB servers for the tests and the benchmarks, from Debian's packages.
#
#   servers.sh run COMMAND…            start both, run COMMAND with their addresses exported, stop them
#   servers.sh start postgres|mariadb  start one unless it runs already; prints its address
#   servers.sh stop                    stop both, if nobody uses them
#   servers.sh force-stop              stop both, whoever uses them
#   servers.sh dir                    the directory of the servers, where users.lock is
#
# The servers listen on loopback and on a socket in their own directory, on free ports, and never touch the services
# that Debian's packages may have started. Whoever uses them holds a shared lock on users.lock; the kernel drops it
# when that process ends, however it ends. A watchdog stops the servers once nobody has held it for ten seconds, so a
# killed test run leaves no server behind. Whoever starts or stops a server holds start.lock.
#
# RETENTIOND_SERVERS=bench gives servers that are set up for measuring (durable, large buffers) in a directory of
# their own; the default gives servers that forget everything with the machine and are quick.
set -euo pipefail
shopt -s inherit_errexit

self=$(realpath "$0")
kind=${RETENTIOND_SERVERS:-test}
base=${RETENTIOND_SERVERS_DIR:-${TMPDIR:-/tmp}}
# The servers run as users of their own, who must be able to reach their directories.
if [ "$(id -u)" = 0 ] && ! setpriv --reuid nobody --clear-groups -- test -x "$base"; then base=/tmp; fi
dir=$base/retentiond-$kind-$(id -u)
mkdir -p "$dir"
chmod 755 "$dir"

fail() {
    printf 'servers.sh: %s\n' "$*" >&2
    exit 1
}

as() { # as USER: the words before a command that let root become USER, nothing for everybody else
    if [ "$(id -u)" = 0 ]; then echo "setpriv --reuid $1 --regid $1 --clear-groups --"; fi
}

free_port() {
    local port
    for _ in $(seq 50); do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || {
            echo "$port"
            return
        }
    done
    fail "no free port between 20000 and 32000"
}

# ---- PostgreSQL

pg_bin() {
    local found
    found=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
    [ -n "$found" ] || found=$(dirname "$(command -v initdb || true)")
    [ -x "$found/initdb" ] || fail "PostgreSQL's server is not installed: run \`make deps-test\`"
    echo "$found"
}

pg_settings() {
    if [ "$kind" = bench ]; then
        echo "fsync=on shared_buffers=2GB max_wal_size=8GB checkpoint_timeout=15min maintenance_work_mem=512MB
              work_mem=32MB random_page_cost=1.1 timezone=UTC"
    else # A server zone that nobody expects: whoever relies on it is found out.
        echo "fsync=off synchronous_commit=off full_page_writes=off timezone=Pacific/Kiritimati"
    fi
}

pg_psql() { psql -XqAt -h "$dir/pg" -U postgres "$@" </dev/null; }

pg_alive() { [ -f "$dir/postgres.url" ] && pg_psql -p "$(sed 's/.*://' "$dir/postgres.url")" -c 'SELECT 1' >/dev/null 2>&1; }

pg_locales() { # German, for a role whose server speaks it
    mkdir -p "$dir/locale"
    [ -d "$dir/locale/de_DE.utf8" ] || localedef -i de_DE -f UTF-8 "$dir/locale/de_DE.utf8" ||
        fail "the locales' sources are not installed: run \`make deps-test\`"
}

pg_start() {
    local bin port setting options
    bin=$(pg_bin)
    command -v psql >/dev/null || fail "psql is not installed: run \`make deps-test\`"
    pg_stop
    mkdir -p "$dir/pg"
    if [ "$(id -u)" = 0 ]; then chown postgres "$dir/pg"; fi
    pg_locales
    $(as postgres) "$bin/initdb" -D "$dir/pg/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    for _ in 1 2 3; do
        port=$(free_port)
        options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$dir/pg -c max_connections=200"
        for setting in $(pg_settings); do options+=" -c $setting"; done
        if LOCPATH=$dir/locale:/usr/lib/locale $(as postgres) "$bin/pg_ctl" -D "$dir/pg/data" -l "$dir/pg/log" -w -t 60 -o "$options" start >/dev/null 2>&1 </dev/null; then
            echo "postgres://postgres@127.0.0.1:$port" >"$dir/postgres.url"
            return
        fi
    done
    tail -n 20 "$dir/pg/log" >&2 || true
    fail "PostgreSQL did not start; its log is $dir/pg/log"
}

pg_stop() {
    rm -f "$dir/postgres.url"
    if [ -f "$dir/pg/data/postmaster.pid" ]; then
        $(as postgres) "$(pg_bin)/pg_ctl" -D "$dir/pg/data" -m immediate -w -t 30 stop >/dev/null 2>&1 </dev/null || true
    fi
    rm -rf "$dir/pg"
}

# ---- MariaDB

my_settings() {
    if [ "$kind" = bench ]; then
        echo "--innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=2G --innodb-log-file-size=1G
              --innodb-flush-method=O_DIRECT --default-time-zone=+00:00 --local-infile=1"
    else
        echo "--innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-log-file-size=64M
              --default-time-zone=+13:00"
    fi
}

my_admin() { mariadb-admin --no-defaults -uroot --socket="$dir/my/s.sock" "$@" >/dev/null 2>&1 </dev/null; }

my_alive() { [ -f "$dir/mariadb.url" ] && my_admin --connect-timeout=5 ping; }

my_start() {
    local port
    command -v mariadbd >/dev/null || PATH=$PATH:/usr/sbin
    command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null ||
        fail "MariaDB's server is not installed: run \`make deps-test\`"
    my_stop
    mkdir -p "$dir/my"
    if [ "$(id -u)" = 0 ]; then chown mysql "$dir/my"; fi
    $(as mysql) mariadb-install-db --no-defaults --datadir="$dir/my/data" --auth-root-authentication-method=normal \
        --skip-test-db >"$dir/my-install.log" 2>&1 </dev/null || {
        cat "$dir/my-install.log" >&2
        fail "mariadb-install-db failed"
    }
    for _ in 1 2 3; do
        port=$(free_port)
        $(as mysql) setsid mariadbd --no-defaults --datadir="$dir/my/data" --socket="$dir/my/s.sock" \
            --pid-file="$dir/my/pid" --port="$port" --bind-address=127.0.0.1 --skip-name-resolve --skip-log-bin \
            --character-set-server=utf8mb4 --max-connections=200 $(my_settings) >>"$dir/my/log" 2>&1 </dev/null &
        for _ in $(seq 300); do
            if my_admin ping; then
                echo "mysql://root@127.0.0.1:$port" >"$dir/mariadb.url"
                return
            fi
            kill -0 $! 2>/dev/null || break
            sleep 0.1
        done
    done
    tail -n 20 "$dir/my/log" >&2 || true
    fail "MariaDB did not start; its log is $dir/my/log"
}

my_stop() {
    local pid
    rm -f "$dir/mariadb.url"
    pid=$(cat "$dir/my/pid" 2>/dev/null || true)
    # The number may have gone to another process since: only a server on our own directory is ended.
    if [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "--datadir=$dir/my/data"; then
        kill -9 "$pid" 2>/dev/null || true
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    fi
    rm -rf "$dir/my"
}

# ---- both

start_one() { # start.lock is held as fd 8, which no server may inherit
    case $1 in
    postgres) pg_alive || (exec 8>&- 9>&- && cd "$dir" && pg_start) ;;
    mariadb) my_alive || (exec 8>&- 9>&- && cd "$dir" && my_start) ;;
    *) fail "\`$1\` is not a server: postgres or mariadb" ;;
    esac
}

start() {
    exec 8>"$dir/start.lock"
    flock -w 180 8 || fail "somebody has been starting or stopping servers for three minutes: $dir/start.lock"
    start_one "$1"
    setsid "$self" watch 8>&- 9>&- >/dev/null 2>&1 </dev/null &
    exec 8>&-
    cat "$dir/$1.url"
}

stop_unused() { # succeeds if the servers are down
    local done=1
    exec 8>"$dir/start.lock" 7>"$dir/users.lock"
    if flock -n 8 && flock -n 7; then
        pg_stop
        my_stop
        done=0
    fi
    exec 8>&- 7>&-
    return $done
}

unused() { flock -n "$dir/users.lock" true; }

drop_left_databases() { # a test's database is called t<pid>_…: it goes when that process is gone
    local name port
    if pg_alive; then
        port=$(sed 's/.*://' "$dir/postgres.url")
        for name in $(pg_psql -p "$port" -c "SELECT datname FROM pg_database WHERE datname ~ '^t[0-9]+_'"); do
            left "$name" && pg_psql -p "$port" -c "DROP DATABASE IF EXISTS $name WITH (FORCE)" >/dev/null 2>&1
        done
    fi
    if my_alive; then
        for name in $(mariadb --no-defaults -uroot --socket="$dir/my/s.sock" -BNe 'SHOW DATABASES' </dev/null); do
            [[ $name =~ ^t[0-9]+_ ]] && left "$name" && my_admin -f drop "$name"
        done
    fi
    return 0
}

left() { local pid=${1%%_*}; [ ! -d "/proc/${pid#t}" ]; }

watch() {
    exec 6>"$dir/watch.lock"
    flock -n 6 || exit 0
    while true; do
        sleep 5 6>&-
        { drop_left_databases || true; } 6>&-
        unused && sleep 5 6>&- && unused && stop_unused 6>&- && exit 0
    done
}

run() {
    local code=0
    exec 9>"$dir/users.lock"
    flock -s -w 180 9 || fail "$dir/users.lock is held"
    RETENTIOND_TEST_POSTGRES=$(start postgres)
    RETENTIOND_TEST_MARIADB=$(start mariadb)
    export RETENTIOND_TEST_POSTGRES RETENTIOND_TEST_MARIADB
    trap 'exec 9>&-; stop_unused || true' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    "$@" || code=$?
    exit "$code"
}

case ${1:-} in
run)
    shift
    [ $# -gt 0 ] || fail "run what?"
    run "$@"
    ;;
dir) echo "$dir" ;;
start) start "${2:?postgres or mariadb}" ;;
stop) stop_unused || fail "somebody still uses the servers, or starts them; they stop by themselves afterwards" ;;
force-stop)
    pg_stop
    my_stop
    ;;
watch) watch ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
