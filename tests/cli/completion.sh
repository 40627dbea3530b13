#!/usr/bin/env bash
# The glue for bash: what a person sees after TAB.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
fake_root
PATH=$(dirname "$CHARGECTL"):$PATH
. "$(dirname "$0")/../../cli/completion/chargectl.bash"

# tab LINE: the words offered at its end, in $OUT
tab() {
        COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
        _chargectl 2>/dev/null
        OUT=$(printf '%s\n' "${COMPREPLY[@]}")
}

tab "chargectl mo"
is "move
monitor"
tab "chargectl --root=$ROOT --any-fs tree /web/a"
is "/web/api"
tab "chargectl --root=$ROOT --any-fs tree "
said /ci
# bash has split at the "=": only what follows it is to be replaced
tab "chargectl list --json=pr"
is pretty
tab "chargectl set-property /web CPUIdle="
is "yes
no"
tab "chargectl set-property /web MemoryM"
said "MemoryMax="
tab "chargectl frobnicate "
is ""
