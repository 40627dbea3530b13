# What the scripts of tools/ share: where things are, how to complain, how to become root.
# Sourced, never run. Sets TOP (the source tree) and CACHE (downloads and images).
# SPDX-License-Identifier: LGPL-2.1-or-later

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$TOP/build

die() {
        echo "${0##*/}: $*" >&2
        exit 1
}

info() {
        [ -n "${QUIET:-}" ] || echo "-- $*" >&2
}

have() {
        command -v "$1" >/dev/null 2>&1
}

as_root() {
        if [ "$(id -u)" -eq 0 ]; then
                "$@"
        elif have sudo; then
                sudo -- "$@"
        else
                die "this needs root and there is no sudo; run as root: $*"
        fi
}

# A shared cache lets a second clone reuse what the first one downloaded. CHARGEHAND_CACHE wins; then
# the user's (or, for root, the system's) cache directory; then the build directory.
choose_cache() {
        local dir
        if [ -n "${CHARGEHAND_CACHE:-}" ]; then
                mkdir -p "$CHARGEHAND_CACHE" || die "CHARGEHAND_CACHE=$CHARGEHAND_CACHE cannot be created"
                (cd "$CHARGEHAND_CACHE" && pwd)
                return
        fi
        if [ -n "${XDG_CACHE_HOME:-}" ]; then
                dir=$XDG_CACHE_HOME/chargehand
        elif [ "$(id -u)" -eq 0 ]; then
                dir=/var/cache/chargehand
        else
                dir=${HOME:-/nonexistent}/.cache/chargehand
        fi
        if mkdir -p "$dir" 2>/dev/null && [ -w "$dir" ]; then
                echo "$dir"
        else
                mkdir -p "$BUILD/cache" && echo "$BUILD/cache"
        fi
}

CACHE=$(choose_cache)

# with_lock FILE COMMAND…: several runs in one tree take turns instead of treading on each other.
with_lock() {
        local lock=$1
        shift
        mkdir -p "$(dirname "$lock")"
        (
                flock -n 9 || { info "waiting for ${lock#"$TOP"/}"; flock 9; }
                "$@"
        ) 9>"$lock"
}

# tally PASSED FAILED SKIPPED [FLAKY]: adds to the sum that `./dev test` prints at the end; flaky ones are among those that passed.
tally() {
        [ -z "${CHARGEHAND_TALLY:-}" ] || echo "$1 $2 $3 ${4:-0}" >>"$CHARGEHAND_TALLY"
}
