# shellcheck shell=bash
# Shared by script/* and .ci/run: sourced after `set -euo pipefail`. Leaves us in the project's root.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
ROOT=$PWD
NX_JOBS=${NX_JOBS:-$(nproc)}
export ROOT NX_JOBS PYTHONDONTWRITEBYTECODE=1

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

usage_exit() { # STATUS: prints the comment at the head of the calling script
    sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0"
    exit "$1"
}

# meson_build DIR OPTION…: configures DIR when it is new or its options changed, and builds it. A
# long log is shown only when something went wrong.
meson_build() {
    local dir=$1 stamp log
    shift
    stamp="$* CC=${CC:-} $(cc --version 2>/dev/null | head -n 1)"
    log=$dir.log
    if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.options" 2>/dev/null)" != "$stamp" ]; then
        rm -rf "$dir"
        if ! meson setup "$dir" "$@" >"$log" 2>&1; then
            tail -n 5 "$log" >&2
            die "meson could not configure $dir"
        fi
        printf '%s\n' "$stamp" >"$dir/.options"
    fi
    if ! ninja -C "$dir" -j "$NX_JOBS" >"$log" 2>&1; then
        grep -E '^FAILED|error|undefined|No rule|failed' "$log" | head -n 30 >&2
        die "$dir does not build (all of it: $log)"
    fi
    mv "$log" "$dir/build.log"
    programs_up "$dir"
}

# The commands lie at the top of the build folder, whichever folder declares them.
programs_up() {
    local name found
    for name in nexus nexus-session; do
        found=$(find "$1" -mindepth 2 -type f -perm -u+x -name "$name" -print -quit)
        if [ -n "$found" ] && ! [ "$found" -ef "$1/$name" ]; then
            ln -f "$found" "$1/$name"
        fi
    done
}

# Reads "N passed, N failed" (a word and a colon may stand before) from the last such line of a
# file into PASSED and FAILED; returns 1 when there is none.
# shellcheck disable=SC2034 # the caller reads both
read_counts() {
    local line
    line=$(grep -aE '^([A-Za-z0-9_-]+: )?[0-9]+ passed, [0-9]+ failed' "$1" | tail -n 1) || return 1
    PASSED=$(sed -E 's/^([A-Za-z0-9_-]+: )?([0-9]+) passed, ([0-9]+) failed.*/\2/' <<<"$line")
    FAILED=$(sed -E 's/^([A-Za-z0-9_-]+: )?([0-9]+) passed, ([0-9]+) failed.*/\3/' <<<"$line")
}
