# shellcheck shell=bash
# The way by docker or podman. Read by `enter`.

# `info` succeeds on many machines where no container can start, so one is started: an image that holds only this machine's own `true`.
engine_works() {
    local program libraries status=0
    "$1" info >/dev/null 2>&1 || return
    "$1" image inspect "$(image_name)" >/dev/null 2>&1 && return
    program=$(readlink -f "$(type -P true)")
    mapfile -t libraries < <(ldd "$program" | grep -o '/[^ ]*')
    tar --create --dereference "$program" "${libraries[@]}" 2>/dev/null | "$1" import - scalespan-probe >/dev/null 2>&1 || return
    "$1" run --rm scalespan-probe "$program" >/dev/null 2>&1 || status=$?
    "$1" rmi scalespan-probe >/dev/null 2>&1 || true
    return "$status"
}

# The layer is only a mark: the image itself lies in the engine's own store.
build_image() {
    local secrets=() file
    for file in "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-${HOME:-/tmp}/.config}/pip/pip.conf" /etc/pip.conf; do
        [[ ! -f $file || -n ${secrets[*]} ]] || secrets=(--secret "id=pip,src=$file")
    done
    file=${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}
    [[ ! -f $file ]] || secrets+=(--secret "id=certificates,src=$file")
    say "building the image $(image_name) (once; about five minutes)"
    step "image of containers/Containerfile by $engine" "$engine" build --network host --tag "$(image_name)" --file "$lists/Containerfile" \
        "${secrets[@]}" --build-arg "BASE=$base" "$root"
}

# container_arguments UID GID: sets `container`, what the engine is called with; the checkout, the caller's folder and home are at their own paths.
container_arguments() {
    local folder variable
    declare -A seen=()
    container=("$engine" run --rm --interactive --network host --shm-size 1g --security-opt label=disable --workdir "$cwd")
    for folder in "$root" "$cwd" "${HOME:-/tmp}" "$cache" /tmp; do
        [[ -n ${seen[$folder]-} || ! -d $folder ]] || container+=(--volume "$folder:$folder")
        seen[$folder]=yes
    done
    if [[ $engine == */podman && $EUID != 0 ]]; then
        container+=(--userns keep-id)
    elif [[ $("$engine" info --format '{{.SecurityOptions}}' 2>/dev/null) != *rootless* ]]; then # in rootless docker, root is the caller
        container+=(--user "$1:$2" --volume /etc/passwd:/etc/passwd:ro --volume /etc/group:/etc/group:ro)
    fi
    for variable in $(compgen -e); do
        case $variable in
            SCALESPAN_ENTER | SCALESPAN_BASE | SCALESPAN_DEBIAN) ;; # how to get in is no question inside
            PATH | HOME | USER | LOGNAME | LC_ALL | CI | TERM | COLUMNS | NO_COLOR | PYTHON* | MYPYPATH | SCALESPAN_* | PYTEST_* | PYSCF_* | OMP_* | OPENMM_* | OMPI_* | PRTE_*)
                container+=(--env "$variable") ;;
        esac
    done
}

run_container() {
    local engine name
    [[ -n ${SCALESPAN_ENTER-} || ! -d $cache/$(debian_name) || ! -d $cache/$(python_name) ]] || return 0 # a tree of the same lists is ready
    for engine in "$(type -P podman)" "$(type -P docker)" ""; do
        [[ -n $engine ]] && engine_works "$engine" && break
    done
    if [[ -z $engine ]]; then
        reasons+=("no docker or podman can start a container")
        return
    fi
    set_environment /scalespan/checkout
    if ! "$engine" image inspect "$(image_name)" >/dev/null 2>&1; then
        name=image-$(image_name | cut -d : -f 2)
        [[ ! -d $cache/$name ]] || rmdir "$cache/$name"
        if ! layer "$name" build_image; then
            reasons+=("$engine could not build the image")
            return
        fi
    fi
    name=$(checkout_name)
    mkdir -p "$cache"
    container_arguments "$EUID" "$(id -g)"
    inside=("${container[@]}" "$(image_name)")
    layer "$name" build_checkout || exit 1
    become_caller
    container_arguments "${SUDO_UID:-$EUID}" "${SUDO_GID:-$(id -g)}"
    [[ ! -t 0 || ! -t 1 ]] || container+=(--tty)
    exec "${container[@]}" --volume "$cache/$name:/scalespan/checkout:ro" "$(image_name)" "$@"
}
