# 1,000 and then 10,000 groups: start-up, ListGroups and the daemon's memory grow in step with them.
# timeout: 600
# mem: 4096
# boot: own
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/daemon.sh"

measure_groups "$OUT/daemon-groups.json"
assert_le "$(awk '$1 == "rss_bytes_per_group_10000" { print $2 }' "$OUT/$CASE.figures")" 4096 "bytes of the daemon per group"
cat "$OUT/daemon-groups.json"
