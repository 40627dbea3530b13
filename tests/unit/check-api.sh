#!/bin/sh
# The public API is whole: what the headers declare is in libchargehand.sym, and what is there is exported by the library,
# no more and no less. check-api.sh SOURCE LIBRARY
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu
source=$1 library=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Prototypes begin in column 0; comments and macro rows do not.
cat "$source"/include/chargehand/*.h |
        grep -E '^[a-z].*\bch_[a-z0-9_]+\(' | grep -v '^typedef' |
        sed -E 's/^[^(]*\b(ch_[a-z0-9_]+)\(.*/\1/' | sort -u >"$work/declared"
sed -nE 's/^ *(ch_[a-z0-9_]+);.*/\1/p' "$source/lib/libchargehand.sym" >"$work/listed"
nm -D --defined-only "$library" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/exported"

LC_ALL=C sort -uc "$work/listed" || { echo "libchargehand.sym is not in order"; exit 1; }
status=0
for pair in "declared listed" "listed declared" "listed exported" "exported listed"; do
        set -- $pair
        LC_ALL=C sort -u "$work/$1" >"$work/a"
        LC_ALL=C sort -u "$work/$2" >"$work/b"
        comm -23 "$work/a" "$work/b" >"$work/missing"
        [ -s "$work/missing" ] || continue
        sed "s/^/$1 but not $2: /" "$work/missing"
        status=1
done
[ "$(wc -l <"$work/declared")" -gt 50 ] || { echo "the headers declare next to nothing"; exit 1; }
exit $status
