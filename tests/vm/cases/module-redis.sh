# A real Redis of about 280 MB moves by the module while a client checks every answer; once as Debian has it (huge pages
# forbidden by Redis itself, which nothing but the module can move), once with huge pages:
#
#     /demo/a ─ redis-server, redis-load ─▶ /demo/b
#
# All of its private memory is on the target's account afterwards, by the module's map and by pagemap; exact when idle.
# module: yes
# suite: kmod
# timeout: 300
# mem: 3072
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
KEYS=${KEYS:-240000}
VALUE=900
echo always >"$THP"

redis() {
        redis-cli -s redis.sock "$@"
}

answers() {
        [ "$(redis ping)" = PONG ]
}

# figure NAME FILE
figure() {
        awk -v n="$1" '$1 == n { print $2 }' "$2"
}

anon_of() {
        cg_key "$1" memory.stat anon
}

nothing_left() {
        assert_eq "$(anon_of /demo/a)" 0 "anon of the source"
        assert_eq "$(cg_key /demo/a memory.stat anon_thp)" 0 "anon_thp of the source"
        assert_eq "$(anon_of /demo/b)" "$(awk '$1 == "Anonymous:" { print $2 * 1024 }' "/proc/$PID/smaps_rollup")" \
                "anon of the target and of the process"
}

# round NAME REDIS-ARGUMENTS…
round() {
        _name=$1
        shift
        cg_create /demo/a /demo/b
        cg_run /demo/a redis-server --port 0 --unixsocket "$PWD/redis.sock" --save '' --appendonly no \
                --enable-debug-command yes --dir "$PWD" "$@"
        wait_for 30 answers
        redis-load fill redis.sock "$KEYS" $VALUE
        digest=$(redis debug digest)
        thp_before=$(awk '$1 == "AnonHugePages:" { print $2 * 1024 }' "/proc/$PID/smaps_rollup")
        redis-load traffic redis.sock "$KEYS" $VALUE "$PWD/traffic" &
        LOAD=$!
        wait_for 30 test -s traffic

        cg_move /demo/b "$PID"
        prog-module-ask move "$PID" /demo/a /demo/b >moved
        # what was busy just then
        for _try in 1 2 3 4 5; do
                prog-module-ask map "$PID" /demo/b >map
                [ "$(figure group map)" != "$(figure all map)" ] || break
                prog-module-ask move "$PID" /demo/a /demo/b >again
        done
        kill -TERM $LOAD
        wait $LOAD || fail "redis-load: an answer was lost or wrong"
        cat moved map

        emit "usec_$_name" "$(figure usec moved)"
        emit "moved_$_name" "$(figure moved moved)"
        emit "lock_max_nsec_$_name" "$(figure lock_max moved)"
        emit "tries_$_name" "$_try"
        assert_ge "$(figure all map)" $((256 * MIB)) "resident Redis"
        assert_eq "$(figure group map)" "$(figure all map)" "private memory on the target by the module"
        prog-map pid "$PID" >pagemap
        map_b=$(awk '$1 == "row" && $2 == "/demo/b" && $3 ~ /^anon/ { n += $4 } END { print n + 0 }' pagemap)
        map_all=$(awk '$1 == "row" && $3 ~ /^anon/ { n += $4 } END { print n + 0 }' pagemap)
        assert_eq "$map_b" "$map_all" "private memory on the target by pagemap"
        soon nothing_left
        assert_ge "$(awk '$1 == "AnonHugePages:" { print $2 * 1024 }' "/proc/$PID/smaps_rollup")" "$thp_before" "huge pages kept"
        assert_eq "$(awk '{ n += $4 } END { print n + 0 }' traffic)" 0 "wrong answers"
        assert_eq "$(redis debug digest)" "$digest" "digest of all keys"
        kill -KILL "$PID"
        wait_for 30 grep -q "populated 0" "$CG/demo/b/cgroup.events"
        rm -f traffic redis.sock
        cg_remove /demo
}

HOLES=/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none
holes_before=$(cat $HOLES)
trap 'echo always >$THP; echo "$holes_before" >$HOLES' EXIT
echo 0 >$HOLES
module_load
round small
round huge --disable-thp no
module_unload
module_clean
