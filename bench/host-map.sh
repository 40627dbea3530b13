#!/bin/sh
# The charge map on this host, where its kernel shows the groups of pages.
# SPDX-License-Identifier: LGPL-2.1-or-later
[ -r /proc/kpagecgroup ] || exit 77
exec "$BENCH_BUILD/bench/bench-map" "${BENCH_REPEAT:-11}"
