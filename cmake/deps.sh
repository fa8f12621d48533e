#!/bin/sh
# SPDX-License-Identifier: MIT
#
# deps.sh run|test|bench|soak: installs the Debian packages that are missing, and only those; says
# which, and how. Does nothing, and asks for nothing, when all are there.
#
# A package with a command or a file behind a colon counts as present when that is there, wherever
# it came from. Of packages with a bar between them one is enough, and the first that the release
# has is installed: Debian 12 has llhttp's sources in node-llhttp, Debian 13 has libllhttp-dev.
set -eu

run_packages="gcc libc6-dev cmake ninja-build pkg-config
  liblua5.4-dev libuv1-dev libssl-dev libcurl4-openssl-dev libpq-dev zlib1g-dev libbrotli-dev
  libllhttp-dev|node-llhttp:/usr/share/llhttp/llhttp.c"
test_packages="lua5.4 lua-busted lua-cjson lua-filesystem lua-system lua-penlight lua-socket
  lua-check clang libclang-rt-14-dev|libclang-rt-dev clang-format-16|clang-format clang-tidy
  cppcheck valgrind strace curl git patch prometheus xz-utils iproute2 openssl lua-sql-sqlite3
  lua-sec lua-redis redis-server postgresql
  nginx-light haproxy apache2-bin nodejs:node npm:npm chromium:chromium"
# Specs and benches start servers of their own. Where services run, Debian starts others on
# installing the packages; `systemctl disable --now nginx haproxy redis-server postgresql` ends
# those.
bench_packages="lua5.4 lua-cjson lua-filesystem lua-system lua-socket curl git wrk nginx-light
  libnginx-mod-http-lua libnginx-mod-nchan util-linux:taskset nodejs:node npm:npm"
soak_packages="lua5.4 lua-cjson lua-filesystem lua-system lua-socket git"

is_present() {
  case $1 in
    *:/*) test -e "${1#*:}" ;;
    *:*) command -v "${1#*:}" >/dev/null ;;
    *) case $installed in *"
$1 "*) true ;; *) false ;; esac ;;
  esac
}

# Whether one of the packages between bars is there.
has_one() {
  for one in $(echo "$1" | tr '|' ' '); do
    ! is_present "$one" || return 0
  done
  return 1
}

is_known() {
  apt-cache policy "$1" | grep -q '^ *Candidate: [^(]'
}

# Prints the first of the packages between bars that the package lists know. False when they know
# none; then it is the last one.
choose() {
  for one in $(echo "$1" | tr '|' ' '); do
    one=${one%%:*}
    ! is_known "$one" || { echo "$one"; return 0; }
  done
  echo "$one"
  return 1
}

# Sets `chosen`, a package for each that is missing. False when the lists do not know one of them.
choose_all() {
  chosen=""
  all_known=true
  for wanted_one in $missing; do
    one_chosen=$(choose "$wanted_one") || all_known=false
    chosen="$chosen $one_chosen"
  done
  $all_known
}

update() {
  echo "deps: fetching the package lists: apt-get update"
  $as_root apt-get update -q
}

install() {
  echo "deps: installing what is missing: apt-get install$chosen"
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends $chosen
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
  has_one "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  as_root="sudo"
  if ! command -v sudo >/dev/null; then
    choose_all || true
    echo "deps: as root, type: apt-get install$chosen" >&2
    exit 1
  fi
fi

# Package lists may be missing or older than the mirror; then they are fetched and it is tried
# again.
if choose_all && install; then
  exit 0
fi
update
choose_all || true
install
