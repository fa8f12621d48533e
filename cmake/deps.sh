#!/bin/sh
# SPDX-License-Identifier: MIT
#
# deps.sh run|test|bench|soak: installs the Debian packages that are missing, and only those; says
# which. Does nothing, and asks for nothing, when all are there. A package written with a command
# behind a colon counts as present when the command is, wherever it came from.
set -eu

run_packages="gcc libc6-dev cmake ninja-build pkg-config
  liblua5.4-dev libuv1-dev node-llhttp lua-cjson lua-dkjson"
test_packages="lua5.4 lua-busted lua-filesystem lua-system lua-penlight lua-socket lua-check
  clang libclang-rt-14-dev clang-format-16 clang-tidy cppcheck valgrind strace curl git
  patch xz-utils
  nodejs:node npm:npm chromium:chromium"
# The benches start an nginx of their own. Where services run, Debian starts another on installing
# the package; `systemctl disable --now nginx` ends that one.
bench_packages="lua5.4 lua-filesystem lua-system lua-socket curl git wrk nginx-light
  libnginx-mod-http-lua libnginx-mod-nchan util-linux:taskset nodejs:node npm:npm"
soak_packages="lua5.4 lua-filesystem lua-system lua-socket git"

is_present() {
  case $1 in
    *:*) command -v "${1#*:}" >/dev/null ;;
    *) case $installed in *"
$1 "*) true ;; *) false ;; esac ;;
  esac
}

case ${1-} in
  run) wanted=$run_packages ;;
  test) wanted="$run_packages $test_packages" ;;
  bench) wanted="$run_packages $bench_packages" ;;
  soak) wanted="$run_packages $soak_packages" ;;
  *) echo "usage: deps.sh run|test|bench|soak" >&2; exit 2 ;;
esac

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "deps: no apt-get here; what is needed, by Debian's names:" $wanted
  exit 0
fi

installed="
$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$/ /p')"
missing=""
for package in $wanted; do
  is_present "$package" || missing="$missing ${package%%:*}"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  as_root="sudo"
  command -v sudo >/dev/null || { echo "deps: as root, type: apt-get install$missing" >&2; exit 1; }
fi
export DEBIAN_FRONTEND=noninteractive
echo "deps: installing$missing"
install() {
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends $missing
}
# Package lists may be missing or older than the mirror; then they are fetched and it is tried
# again.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install >"$log" 2>&1; then
  $as_root apt-get update -q && install
fi
