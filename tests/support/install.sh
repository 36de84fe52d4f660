# What the test scripts share: `install WHAT PACKAGE…` gets packages through apt, or says what is missing.
install() {
    if ! command -v apt-get >/dev/null; then
        echo "no $1: install it and run this again" >&2
        exit 1
    fi
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root apt-get update
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${@:2}"
}
