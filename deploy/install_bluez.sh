#!/bin/sh
# Install what `make test-bluez` needs: QEMU, BlueZ and busybox as Debian packages, and a kernel with
# Bluetooth for the virtual machine. The kernel is the newest that this system's packages have; it is
# unpacked into the user's cache and never installed. What is there is left alone.
#
# For Debian and its kin on x86-64; packages need root or sudo. CHEVET_HOME or XDG_CACHE_HOME say where
# the kernel goes, as for `chevet`.
set -eu

packages="bluez busybox-static dbus kmod qemu-system-x86"

# What the machine needs, in the order in which it is loaded; modprobe adds what these depend on.
# Random numbers (drbg, and what it is made of) come before ecdh_generic: without them it fails its
# self-test, and with it pairing.
modules="virtio_pci 9pnet_virtio 9p overlay
    aes_generic hmac sha512_generic ctr drbg ecdh_generic cmac ecb algif_hash algif_skcipher
    bluetooth hci_vhci"

say() { printf '%s\n' "install_bluez: $*"; }
fail() {
    say "$*" >&2
    exit 1
}

is_installed() { dpkg -s "$1" 2>/dev/null | grep -q '^Status: .* installed$'; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# An old list names packages that are gone; one look is enough.
refresh_list() {
    if [ -z "${refreshed:-}" ]; then
        as_root apt-get -q update
        refreshed=yes
    fi
}

home_folder() {
    if [ -n "${CHEVET_HOME:-}" ]; then
        printf '%s\n' "$CHEVET_HOME/var"
    else
        printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/chevet"
    fi
}

install_packages() {
    missing=""
    for package in $packages; do
        is_installed "$package" || missing="$missing $package"
    done
    if [ -z "$missing" ]; then
        say "all packages are there"
        return
    fi
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        fail "to install:$missing, run this as root or install sudo"
    say "installing$missing"
    refresh_list
    # shellcheck disable=SC2086  # the words are package names
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y install --no-install-recommends $missing
    case "$missing" in *bluez*) disable_bluetooth ;; esac
}

# Debian starts a server as soon as it is installed; this one is for the virtual machine alone.
disable_bluetooth() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl disable --now bluetooth || say "could not disable bluetooth" >&2
    fi
}

# The package with the newest kernel: the one that the meta package depends on.
newest_kernel() {
    apt-cache show --no-all-versions linux-image-amd64 2>/dev/null |
        sed -n 's/^Depends: *\(linux-image-[^ ,]*\).*/\1/p' | head -n 1
}

# keep_modules KERNEL_ROOT RELEASE TARGET: copy what is loaded, unpacked and numbered in order.
keep_modules() {
    PATH="$PATH:/usr/sbin:/sbin"
    depmod -b "$1" "$2"
    list="$1/list"
    : >"$list"
    for module in $modules; do
        # A module that is built into the kernel has no file, and needs none.
        modprobe -d "$1" -S "$2" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p' |
            while read -r file; do
                grep -qxF "$file" "$list" || printf '%s\n' "$file" >>"$list"
            done
    done
    grep -q hci_vhci "$list" || fail "kernel $2 has no virtual Bluetooth controller (hci_vhci)"
    n=100
    while read -r file; do
        n=$((n + 1))
        name=$(basename "$file")
        case "$name" in
        *.xz) xz -dc "$file" >"$3/$n-${name%.xz}" ;;
        *.zst) zstd -dqc "$file" >"$3/$n-${name%.zst}" ;;
        *) cp "$file" "$3/$n-$name" ;;
        esac
    done <"$list"
}

fetch_kernel() {
    folder=$(home_folder)/bluez
    kernel=$(newest_kernel)
    if [ -z "$kernel" ] || [ ! -f "$folder/${kernel#linux-image-}/vmlinuz" ]; then
        refresh_list
        kernel=$(newest_kernel)
    fi
    [ -n "$kernel" ] || fail "this system's packages have no linux-image-amd64"
    release=${kernel#linux-image-}
    if [ -f "$folder/$release/vmlinuz" ]; then
        say "the kernel is there: $folder/$release"
    else
        say "fetching $kernel"
        mkdir -p "$folder"
        work=$(mktemp -d "$folder/.partial.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        (cd "$work" && apt-get -q -o APT::Sandbox::User= download "$kernel") ||
            fail "$kernel could not be fetched; the reason is above"
        mkdir -p "$work/root" "$work/kernel/modules"
        dpkg-deb -x "$work"/*.deb "$work/root"
        cp "$work/root/boot/vmlinuz-$release" "$work/kernel/vmlinuz"
        [ -e "$work/root/lib" ] || ln -s usr/lib "$work/root/lib"
        keep_modules "$work/root" "$release" "$work/kernel/modules"
        rm -rf "${folder:?}/$release"
        mv "$work/kernel" "$folder/$release"
    fi
    ln -sfn "$release" "$folder/kernel"
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

command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
    fail "this system has no apt-get; install by its own means: $packages"
[ "$(dpkg --print-architecture)" = amd64 ] ||
    fail "only x86-64 is prepared; this system is $(dpkg --print-architecture)"
install_packages
fetch_kernel
