#!/bin/bash
# The ledger on this host: charges, statistics and reparenting, and the registry's exits, beside their floors.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

[ "$(nproc)" -ge 2 ] || { echo "host-ledger: needs two CPUs" >&2; exit 77; }
"$BENCH_BUILD/bench/bench-ledger" "${BENCH_REPEAT:-51}"
[ ! -x "$BENCH_BUILD/bench/bench-registry" ] || "$BENCH_BUILD/bench/bench-registry"
