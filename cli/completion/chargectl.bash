# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for chargectl: chargectl itself knows the words.

_chargectl() {
    local line=${COMP_LINE:0:COMP_POINT} words current prefix
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[${#words[@]} - 1]}
    # bash takes "--json=short" for three words: give back only what follows the "=".
    prefix=
    [[ $current == *=* && $COMP_WORDBREAKS == *=* ]] && prefix=${current%%=*}=
    COMPREPLY=()
    local candidate
    while IFS=$'\t' read -r candidate _; do
        COMPREPLY+=("${candidate#"$prefix"}")
    done < <(chargectl complete -- "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -F _chargectl chargectl
