# The charge map beside the bare pread loops; rows of JSON in $OUT/bench-map.json.
# timeout: 180
# mem: 3072
# suite: bench
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

# in a group of its own, so that the pages have an owner to be read
cg_create /bench
cg_run /bench sh -c 'bench-map "$0" >"$1.part" && mv "$1.part" "$1"' "${BENCH_REPEAT:-5}" "$OUT/bench-map.json"
wait "$PID"
cat "$OUT/bench-map.json"
