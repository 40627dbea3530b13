#!/bin/sh
# Many groups on this host: the walk beside its floor.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
exec "$BENCH_BUILD/bench/bench-groups"
