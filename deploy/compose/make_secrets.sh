#!/bin/sh
# Make what compose.yaml needs and nobody may know: passwords, a token, and a certificate of its own
# for the live page. What is there is left alone; nothing is printed.
#
#   sh deploy/compose/make_secrets.sh [FOLDER]      deploy/secrets unless told
#
# The folder is closed to others on this machine; the files in it can be read, for each container
# reads its own under a user of its own.
set -eu

folder=${1:-$(cd "$(dirname "$0")/.." && pwd)/secrets}
days=825
names="DNS:localhost,DNS:live,IP:127.0.0.1"

command -v openssl >/dev/null || {
    echo "make_secrets: openssl is needed; install the package openssl" >&2
    exit 1
}

umask 077
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

# Put in its place whole: a run that is cut short leaves no half of a secret.
for name in influx-password influx-token grafana-password; do
    if [ ! -s "$name" ]; then
        openssl rand -hex 32 >"$name.new"
        mv "$name.new" "$name"
    fi
done

if [ ! -s live-certificate ] || [ ! -s live-key ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "$days" \
        -subj "/CN=chevet live page" -addext "subjectAltName=$names" \
        -keyout live-key.new -out live-certificate.new 2>openssl.log || {
        cat openssl.log >&2
        exit 1
    }
    rm openssl.log
    mv live-key.new live-key
    mv live-certificate.new live-certificate
fi

chmod 644 influx-password influx-token grafana-password live-certificate live-key
