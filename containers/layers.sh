# shellcheck shell=bash
# Layers of the cache: each is built once, and is there whole or not at all. Read by `enter`.

# layer NAME FUNCTION: $cache/NAME exists afterwards, or the status is not 0; FUNCTION fills the folder that it is given.
# The lock makes a second caller wait; the rename at the end makes the layer appear whole; a leftover of a killed build is swept away by the next.
layer() {
    [[ ! -d $cache/$1 ]] || return 0
    local mask
    mask=$(umask)
    umask 022
    trap sweep EXIT
    trap 'exit 130' INT
    trap 'exit 143' HUP TERM
    mkdir -p "$cache"
    exec {lock}>"$cache/$1.lock"
    if ! flock --nonblock "$lock"; then
        say "waiting for another process that builds $cache/$1"
        background flock "$lock"
    fi
    if [[ ! -d $cache/$1 ]]; then
        part=$cache/$1.part
        log=$cache/$1.log
        rm -rf --one-file-system "$part"
        mkdir "$part"
        : >"$log"
        "$2" "$part" && sync --file-system "$part" && mv "$part" "$cache/$1" || sweep
        part=
    fi
    exec {lock}>&-
    trap - EXIT INT HUP TERM
    umask "$mask"
    [[ -d $cache/$1 ]]
}

# In the background, because bash runs a trap only between foreground commands.
background() {
    "$@" &
    job=$!
    local status=0
    wait "$job" || status=$?
    job=
    return "$status"
}

# Nothing of a build outlives it: its processes end first, then its folder goes.
sweep() {
    if [[ -n ${job-} ]]; then
        kill -KILL "$job" 2>/dev/null || true
        wait "$job" 2>/dev/null || true
    fi
    [[ -z ${part-} ]] || rm -rf --one-file-system "$part"
}

# step SENTENCE COMMAND…: says what is being done, mmdebstrap's own stages, and the seconds; every other word goes to the log.
# Its status is the command's, and every step of a build is followed by `|| return`, because bash's errexit is off in what layer calls.
step() {
    local narrator words start=$SECONDS failed=
    say "$1 …"
    exec {words}> >(narrate)
    narrator=$!
    background "${@:2}" </dev/null >&"$words" 2>&1 || failed=yes
    exec {words}>&-
    wait "$narrator"
    if [[ -n $failed ]]; then
        tail -n 5 "$log" >&2
        say "failed: $1. All that was said is in $log"
        return 1
    fi
    say "    $((SECONDS - start)) s  done"
}

narrate() {
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$log"
        [[ $line != "I: "*... ]] || say "    $((SECONDS - start)) s  ${line#I: }"
    done
}
