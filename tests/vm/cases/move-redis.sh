# A real Redis of about 300 MB moves with its memory while a client talks to it:
#
#     /demo/a ─ redis-server, redis-cli ping in a loop ─▶ /demo/b
#
# Huge pages are as Debian has them ("always"), and Redis does not forbid them to itself.
# timeout: 240
# mem: 3072
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
echo always >"$THP"
# khugepaged fills no holes meanwhile: what the resident set grows by is the move's doing.
HOLES=/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none
holes_before=$(cat $HOLES)
trap 'echo always >$THP; echo "$holes_before" >$HOLES' EXIT
echo 0 >$HOLES
cg_create /demo/a /demo/b
cg_run /demo/a redis-server --port 0 --unixsocket "$PWD/redis.sock" --save '' --appendonly no --disable-thp no \
        --enable-debug-command yes --dir "$PWD"
answers() {
        [ "$(redis-cli -s redis.sock ping)" = PONG ]
}
wait_for 30 answers
redis-cli -s redis.sock debug populate 300000 key 900 >/dev/null
digest=$(redis-cli -s redis.sock debug digest)
anon_before=$(cg_key /demo/a memory.stat anon)
rss_before=$(rss_of "$PID")
assert_ge "$anon_before" $((256 * MIB)) "resident Redis"

# each answer or failure is a line
(while [ ! -e stop ]; do redis-cli -s redis.sock incr counter 2>&1 || echo failed; done >answers) &
CLIENT=$!
run_move 0 --plan /demo/b "$PID"
cp "$TMPDIR/result" "$OUT/redis-plan-$KERNEL.json"
run_move 0 /demo/b "$PID"
cp "$TMPDIR/result" "$OUT/redis-result-$KERNEL.json"
touch stop
wait $CLIENT

by_kernel() {
        anon_a=$(cg_key /demo/a memory.stat anon)
        anon_b=$(cg_key /demo/b memory.stat anon)
        assert_ge $((anon_b * 1000 / (anon_a + anon_b))) 980 "per mille on the target by memory.stat"
        assert_close $((anon_a + anon_b)) "$anon_before" 1 "sum of both groups"
}
soon by_kernel
anon_a=$(cg_key /demo/a memory.stat anon)
anon_b=$(cg_key /demo/b memory.stat anon)
rss_after=$(rss_of "$PID")
prog-map pid "$PID" >map
map_b=$(awk '$1 == "row" && $2 == "/demo/b" && $3 ~ /^anon/ { n += $4 } END { print n + 0 }' map)
map_all=$(awk '$1 == "row" && $3 ~ /^anon/ { n += $4 } END { print n + 0 }' map)
emit anon_bytes "$anon_before"
emit moved_permyriad_map $((map_b * 10000 / map_all))
emit moved_permyriad_stat $((anon_b * 10000 / (anon_a + anon_b)))
emit rss_growth_permyriad $(((rss_after - rss_before) * 10000 / rss_before))
emit charges_usec "$(result charges_usec)"
note "staying: $(result staying)"
assert_ge $((map_b * 1000 / map_all)) 980 "per mille on the target by the map"
assert_le $((rss_after - rss_before)) $((rss_before / 100)) "growth of the resident set"
assert_eq "$(grep -vc '^[0-9]*$' answers || true)" 0 "client errors"
assert_ge "$(wc -l <answers)" 2 "answers during the move"
redis-cli -s redis.sock del counter >/dev/null
assert_eq "$(redis-cli -s redis.sock debug digest)" "$digest" "digest of all keys"
