#!/bin/sh
# Install what tests and `chevet services` start: Java, Maven, InfluxDB, nginx, Prometheus, Chromium,
# Node and systemd's tools as Debian packages, Apache Kafka's jars through Maven, and through npm, for
# the tests, Grafana's own code and an OpenID Connect provider. What is there is left alone, so that a
# second run takes a second.
#
# For Debian and its kin; packages need root or sudo, the jars go to the calling user, npm's packages
# beside the tests.
# CHEVET_PYTHON names the Python (3.11 or newer) to use; by default .venv/bin/python or python3.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
java_version_min=17
java_packages="openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless"

say() { printf '%s\n' "install_services: $*"; }
fail() {
    say "$*" >&2
    exit 1
}

is_installed() { dpkg -s "$1" 2>/dev/null | grep -q '^Status: .* installed$'; }

# has COMMAND PACKAGE: the command is there, by the package or by another way.
has() { is_installed "$2" || PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null; }

has_java() {
    command -v java >/dev/null || return 1
    # "17.0.15" is 17; the old form "1.8.0_402" is 8.
    version=$(java -version 2>&1 | sed -n 's/.*version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1)
    [ "${version:-0}" -ge "$java_version_min" ]
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

choose_java_package() {
    for package in $java_packages; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            printf '%s\n' "$package"
            return
        fi
    done
    fail "this system's packages have none of: $java_packages"
}

# Debian starts a server as soon as it is installed; ours are started by the project alone.
disable_unit() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --now "$1" || say "could not disable the unit $1" >&2
    fi
}

install_packages() {
    wanted=""
    has_java || wanted="java"
    has mvn maven || wanted="$wanted maven"
    has influxd influxdb || wanted="$wanted influxdb"
    has nginx nginx-light || wanted="$wanted nginx-light"
    has prometheus prometheus || wanted="$wanted prometheus"
    has chromium chromium || wanted="$wanted chromium"
    has systemd-analyze systemd || wanted="$wanted systemd"
    has node nodejs || wanted="$wanted nodejs"
    has npm npm || wanted="$wanted npm"
    if [ -z "$wanted" ]; then
        say "all packages are there"
        return
    fi

    command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
        fail "this system has no apt-get; install by its own means:$(printf ' %s' $wanted)"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        fail "to install:$(printf ' %s' $wanted), run this as root or install sudo"

    as_root apt-get -q update
    packages=""
    for one in $wanted; do
        [ "$one" != java ] || one=$(choose_java_package)
        packages="$packages $one"
    done
    say "installing$packages"
    # shellcheck disable=SC2086  # the words are package names
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y install --no-install-recommends $packages
    case "$wanted" in *influxdb*) disable_unit influxdb ;; esac
    case "$wanted" in *nginx*) disable_unit nginx ;; esac
    case "$wanted" in *prometheus*) disable_unit prometheus ;; esac
    has_java || fail "the Java that is found first (\"$(command -v java || true)\") is older than $java_version_min"
}

fetch_kafka() {
    python=${CHEVET_PYTHON:-}
    if [ -z "$python" ] && [ -x "$root/.venv/bin/python" ]; then
        python=$root/.venv/bin/python
    fi
    cd "$root"
    "${python:-python3}" -m deploy.local.kafka --fetch ||
        fail "Kafka's jars could not be fetched; the reason is above"
}

# Each folder of tests with a lock file has what the file says, to the byte.
install_node_packages() {
    for lock in "$root"/tests/*/*/package-lock.json; do
        [ -f "$lock" ] || continue
        folder=${lock%/*}
        # npm writes this file when everything else is there.
        installed=$folder/node_modules/.package-lock.json
        if [ -f "$installed" ] && ! [ "$lock" -nt "$installed" ]; then
            continue
        fi
        say "installing the packages of ${folder#"$root"/}"
        (cd "$folder" && npm ci --no-audit --no-fund) ||
            fail "npm could not install the packages of ${folder#"$root"/}; the reason is above"
    done
}

case "${1:-}" in
'') ;;
-h | --help)
    sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p;}' "$0"
    exit 0
    ;;
*)
    say "unknown argument: $1 (see --help)" >&2
    exit 2
    ;;
esac

install_packages
fetch_kafka
install_node_packages
