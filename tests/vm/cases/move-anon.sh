# A program moves with its memory while it keeps writing to it:
#
#     /g/a ─ 64 MiB of small pages, then of huge ones ─▶ /g/b
#
# Nearly all of it is on the account of /g/b afterwards, by the map and by the kernel's own figures; nothing is lost,
# nothing grows, no byte is changed.
# timeout: 180
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
on_target() {
        anon_a=$(cg_key /g/a memory.stat anon)
        anon_b=$(cg_key /g/b memory.stat anon)
        assert_ge $((anon_b * 1000 / (anon_a + anon_b))) 980 "per mille on the target by memory.stat"
}

cg_create /g/a /g/b

for mode in small huge; do
        start_writer /g/a $mode 64
        sum_before=$(($(cg_read /g/a memory.current) + $(cg_read /g/b memory.current)))
        rss_before=$(rss_of "$PID")
        run_move 0 /g/b "$PID"
        assert_eq "$(cg_of "$PID")" /g/b
        assert_eq "$(result state)" finished
        rss_after=$(rss_of "$PID")
        sum_after=$(($(cg_read /g/a memory.current) + $(cg_read /g/b memory.current)))

        # by the map
        prog-map pid "$PID" >map
        map_b=$(awk '$1 == "row" && $2 == "/g/b" && $3 ~ /^anon/ { n += $4 } END { print n + 0 }' map)
        map_all=$(awk '$1 == "row" && $3 ~ /^anon/ { n += $4 } END { print n + 0 }' map)
        emit "moved_permyriad_$mode" $((map_b * 10000 / map_all))
        emit "charges_usec_$mode" "$(result charges_usec)"
        emit "rss_growth_bytes_$mode" $((rss_after - rss_before))
        assert_ge $((map_b * 1000 / map_all)) 980 "per mille on the target by the map"
        # by the kernel
        soon on_target
        soon stat_ge /g/b anon $((64 * MIB * 98 / 100)) "anon of the target"
        # each CPU keeps up to 63 pages in stock for each group
        assert_close "$sum_after" "$sum_before" 3 "sum of both groups"
        assert_le $((rss_after - rss_before)) $((rss_before / 100)) "growth of the resident set"
        check_writer
        stop_writer
done
