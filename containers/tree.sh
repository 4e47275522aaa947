# shellcheck shell=bash
# The way by a Debian root tree and bubblewrap, for root on a Debian-like machine. Read by `enter`.

# Why a tree cannot be made here; nothing if it can.
tree_obstacle() {
    [[ $EUID == 0 ]] || { echo "a Debian tree needs root (sudo containers/enter …)"; return; }
    command -v apt-get >/dev/null || { echo "a Debian tree needs apt-get"; return; }
    case $root/ in /usr/* | /etc/* | /var/* | /run/*) echo "a Debian tree would hide the checkout in $root: clone it below /home or /opt" ;; esac
}

# Replaces a background step by a command whose process and mount namespaces end with this script, however it ends:
# no process goes on, and nothing stays mounted in a tree that is swept.
contained() {
    exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --mount-proc "$@"
}

install_tools() {
    type -P mmdebstrap >/dev/null && type -P bwrap >/dev/null && return
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends mmdebstrap bubblewrap debian-archive-keyring
}

# From the mirror, and with the network settings, that this machine's own apt uses.
make_debian() {
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
    contained mmdebstrap --mode=root --variant=minbase \
        --aptopt='Apt::Install-Recommends "false"' --aptopt=<(apt-config dump | grep -E '^Acquire::(https?|Check-|Retries)') \
        --extract-hook="cp '$lists/dpkg.cfg' \"\$1/etc/dpkg/dpkg.cfg.d/scalespan\"" \
        --include="$(debian_packages | tr ' ' ,)" \
        --customize-hook='cd "$1/etc" && touch resolv.conf hosts pip.conf' \
        "$suite" "$1" ${mirror:+"$mirror"}
}

build_debian() {
    say "building an environment in $cache (once; about three minutes on an idle machine; log beside it)"
    step "looking for mmdebstrap and bubblewrap" install_tools || return
    step "Debian $suite with the packages of apt.txt" make_debian "$1"
}

build_python() {
    mkdir "$1/none" || return # the checkout's place is still empty
    tree_arguments "$1" "$1/none" --bind
    step "Python packages of pyproject.toml" bwrap "${tree[@]}" "$lists/python.sh" || return
    rmdir "$1/none"
}

# tree_arguments PYTHON CHECKOUT [--bind]: sets `tree`, the arguments of bubblewrap. Without --bind every layer is read-only: what no list says
# cannot be installed.
# Every folder of the machine that is not the system's own is at its own path: the checkout, the caller's home, /tmp, data disks.
tree_arguments() {
    local debian file folder variable
    debian=$cache/$(debian_name)
    tree=(--die-with-parent --unshare-pid --chdir "$cwd" --ro-bind "$debian/usr" /usr --ro-bind "$debian/etc" /etc --ro-bind "$debian/var" /var)
    for folder in bin lib lib32 lib64 libx32 sbin; do
        [[ ! -L $debian/$folder ]] || tree+=(--symlink "usr/$folder" "/$folder")
    done
    for folder in /*; do
        case $folder in
            /bin | /boot | /dev | /etc | /lib* | /lost+found | /proc | /run | /sbin | /scalespan | /sys | /usr | /var) ;;
            *) [[ ! -d $folder ]] || tree+=(--bind "$folder" "$folder") ;;
        esac
    done
    tree+=(--dir /scalespan --dir /scalespan/host --proc /proc --dev-bind /dev /dev --tmpfs /dev/shm --bind /sys /sys --tmpfs /run --bind /var/tmp /var/tmp)
    for file in resolv.conf hosts passwd group pip.conf ssl/certs; do
        [[ ! -e /etc/$file ]] || tree+=(--ro-bind "/etc/$file" "/etc/$file")
    done
    # Certificates and settings that the caller's network needs, wherever they lie.
    for variable in PIP_CONFIG_FILE PIP_CERT PIP_CLIENT_CERT SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE; do
        [[ ! -f ${!variable-} ]] || tree+=(--ro-bind "${!variable}" "/scalespan/host/$variable" --setenv "$variable" "/scalespan/host/$variable")
    done
    tree+=("${3:---ro-bind}" "$1" /scalespan/python --ro-bind "$2" /scalespan/checkout)
}

run_tree() {
    local obstacle name
    obstacle=$(tree_obstacle)
    if [[ -n $obstacle ]]; then
        reasons+=("$obstacle")
        return
    fi
    set_environment /scalespan/checkout
    layer "$(debian_name)" build_debian || exit 1
    layer "$(python_name)" build_python || exit 1
    name=$(checkout_name)
    tree_arguments "$cache/$(python_name)" "$cache" # the checkout's place is not used yet
    inside=(bwrap "${tree[@]}")
    layer "$name" build_checkout || exit 1
    tree_arguments "$cache/$(python_name)" "$cache/$name"
    supervise "$@"
}

# Bubblewrap would die of Ctrl-C at once and take the command with it. It ignores the signals instead; the command hears them, ends in its own way,
# and its status is ours. If this script is killed, bubblewrap goes and everything inside with it.
supervise() {
    local caller=() child code status=127 interrupted
    become_caller
    unset SCALESPAN_ENTER SCALESPAN_DEBIAN # how to get in is no question inside
    [[ -z ${SUDO_UID-} ]] || caller=(setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --init-groups)
    (
        trap '' HUP INT QUIT TERM
        exec bwrap "${tree[@]}" "${caller[@]}" env --default-signal=HUP,INT,QUIT,TERM "$@"
    ) <&0 &
    child=$!
    for signal in HUP INT QUIT TERM; do
        trap "interrupted=yes; forward $signal $child" "$signal"
    done
    while :; do
        interrupted=
        code=0
        wait "$child" || code=$?
        [[ $code == 127 ]] || status=$code
        [[ -n $interrupted ]] || exit "$status"
    done
}

# forward SIGNAL BUBBLEWRAP: to the command, the first child of its only child. A key pressed at the terminal has reached it already.
forward() {
    local pid=$2 group foreground
    read -r _ _ _ _ group _ _ foreground _ <"/proc/$$/stat"
    [[ $1 == TERM || $group != "$foreground" ]] || return 0
    for _ in bubblewrap init; do
        pid=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null) || return 0
        pid=${pid%% *}
    done
    [[ -z $pid ]] || kill -s "$1" "$pid" || return 0
}
