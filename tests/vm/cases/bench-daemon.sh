# The daemon with 1,000 and 10,000 groups: start-up scan, ListGroups and memory, per group; rows of JSON in $OUT/bench-daemon.json.
# timeout: 600
# mem: 4096
# suite: bench
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/daemon.sh"

measure_groups "$OUT/bench-daemon.json.part"
mv "$OUT/bench-daemon.json.part" "$OUT/bench-daemon.json"
cat "$OUT/bench-daemon.json"
