# The placement simulator's workload with real processes: 8 groups, limits at three levels, some 200 processes that grow and share.
# Refusals, kills and charges are the kernel's. Rows of JSON in $OUT/bench-placement.json.
# timeout: 900
# mem: 2048
# suite: bench
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

cg_create /place
cg_enable /place
# where there is nothing to swap to, a limit that is met by what cannot be dropped kills
[ ! -e "$CG/place/memory.swap.max" ] || cg_write /place memory.swap.max 0
for seed in $(seq "${BENCH_REPEAT:-3}"); do
        # shellcheck disable=SC2086 # a list
        bench-placement-kernel "$CG/place" "$seed" ${BENCH_PLANNERS:-affinity affinity-no-claims least round-robin static requests} >>runs
        # the program is still in /place/launch as far as the kernel is concerned
        rmdir "$CG/place/launch"
done
cat runs
python3 - runs >"$OUT/bench-placement.json.part" <<'PYTHON'
import json, sys
runs = [json.loads(line) for line in open(sys.argv[1])]
peers = {"least": "least memory.current", "round-robin": "round robin", "static": "a fixed slice by name, as systemd's",
         "requests": "sums of requests, as Kubernetes'", "affinity-no-claims": "ours without claims"}
measures = [("killed at a limit", "oom_kills", 1, ""), ("charges that met a limit", "max_events", 1, ""), ("refused", "refused", 1, ""),
            ("misattributed", "strayed_mib_s", 1024, "GiB·s"), ("used in all", "used_mib_s", 1024, "GiB·s")]
def total(planner, key):
    return sum(run[key] for run in runs if run["planner"] == planner)
size = f"8 groups, {total('affinity', 'requests')} processes"
for peer, name in peers.items():
    if not total(peer, "requests"):
        continue
    for case, key, by, unit in measures:
        ours, reference = total("affinity", key) / by, total(peer, key) / by
        print(json.dumps({"bench": "placement", "case": f"affinity: {case}", "size": size, "ours": ours, "reference": reference,
                          "reference_name": name, "ratio": ours / reference if reference else None, "unit": unit},
                         ensure_ascii=False))
PYTHON
mv "$OUT/bench-placement.json.part" "$OUT/bench-placement.json"
cp runs "$OUT/placement-runs"
