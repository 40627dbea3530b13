# Walks over 1,000 and 10,000 groups with all controllers beside the bare recursion; rows of JSON in $OUT/bench-groups.json.
# timeout: 300
# mem: 4096
# suite: bench
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

"$BIN"/bench-groups "${BENCH_REPEAT:-5}" >"$OUT/bench-groups.json.part"
mv "$OUT/bench-groups.json.part" "$OUT/bench-groups.json"
cat "$OUT/bench-groups.json"
