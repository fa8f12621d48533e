#!/bin/sh
# SPDX-License-Identifier: MIT
#
# strict-lua.sh FOLDER [FLAGS...]: builds Debian's Lua from its source, with the compiler's FLAGS,
# as FOLDER/liblua5.4.so.0: one that collects all garbage and moves a stack wherever it may, and
# that checks itself and each call of its API. A program loads it in the place of the usual one when
# LD_LIBRARY_PATH is FOLDER. Needs apt-get; what the machine has installed is left as it is.
set -eu
rm -rf "$1"
mkdir -p "$1/apt/partial" "$1/source"
folder=$(cd "$1" && pwd)
shift

# The sources come from the mirrors that the machine has its packages from.
apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' \
  'Created-By: Packages' 'Origin: Debian' >"$folder/sources.list"

apt() {
  apt-get -q -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$folder/apt" -o APT::Sandbox::User=root "$@"
}

cd "$folder/source"
apt update
apt source --download-only lua5.4
tar -xf lua5.4_*.orig.tar.gz --strip-components=1
tar -xf lua5.4_*.debian.tar.xz
while read -r patch; do
  patch --silent -p1 <"debian/patches/$patch"
done <debian/patches/series

# With HARDMEMTESTS, Lua's luaC_condGC sets the top of the stack twice to the same pointer: before a
# step, which is taken when the collector is behind, and before the whole collection. The step may
# have moved the stack, and the pointer then leads into freed memory. The usual Lua has only the
# step. The patch makes Lua take one of the two.
sed -i 's/luaC_step(L); pos;}; \\$/luaC_step(L); pos;} else \\/' src/lgc.h
grep -q 'luaC_step(L); pos;} else' src/lgc.h

# The name and the version of the symbols are those of the package.
echo 'LUA_5.4 { global: *; };' >symbols
sources=$(find src -name 'l*.c' ! -name lua.c ! -name luac.c)
gcc -g -O1 -fPIC -shared "$@" -DLUA_USE_LINUX -DLUA_COMPAT_5_3 \
  -DHARDMEMTESTS -DHARDSTACKTESTS -DLUAI_ASSERT -DLUA_USE_APICHECK \
  -Wl,-soname,liblua5.4.so.0 -Wl,--version-script=symbols $sources \
  -o "$folder/liblua5.4.so.0" -lm -ldl
