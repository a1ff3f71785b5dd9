#!/bin/sh
# Install the system libraries that Qt and VTK load in the tests: with apt as root, else name them and the command.
set -eu
cd "$(dirname "$0")"
command -v dpkg-query >/dev/null || {
    echo "The panel tests need OpenGL, EGL and X libraries; Testing/system_packages.txt has their Debian names."
    exit 0
}
missing=
for package in $(grep -v '^#' system_packages.txt); do
    state=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) || state=
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "The panel tests need system libraries: sudo apt-get install --yes$missing"
    exit 0
fi
echo "Installing system libraries for the panel tests:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # the list is meant to be split
apt-get -qq install --yes --no-install-recommends $missing >/dev/null
