#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fuzz.sh BUILD SECONDS [total]: runs each fuzz target of a FUZZ=ON build for SECONDS, or all of
# them for SECONDS together. New inputs stay in BUILD/corpus; an input that fails is written to
# spec/fuzz/corpus/<name>, where the suite finds it again. Exit code 1 when one failed.
set -u
build=$1
seconds=$2
targets=$(ls spec/fuzz/fuzz_*.c | sed 's,.*/fuzz_\(.*\)\.c,\1,')
if [ "${3-}" = total ]; then
  seconds=$((seconds / $(echo "$targets" | wc -l)))
fi
[ "$seconds" -gt 0 ] || seconds=1

failed=0
for name in $targets; do
  mkdir -p "$build/corpus/$name" "spec/fuzz/corpus/$name"
  log=$build/fuzz_$name.log
  if "$build/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
    -artifact_prefix="spec/fuzz/corpus/$name/" \
    "$build/corpus/$name" "spec/fuzz/corpus/$name" >"$log" 2>&1; then
    echo "fuzz_$name: $(grep -o '^Done .*' "$log")"
  else
    echo "fuzz_$name: FAILED"
    tail -40 "$log"
    failed=1
  fi
done
exit $failed
