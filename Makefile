# SPDX-License-Identifier: MIT
#
# A thin front of CMake: it installs what is missing, builds, and starts things. `make help` lists the
# targets. What is done already is not done again.
BUILD := build
DEBUG := build/debug
FUZZING := build/fuzz
FUZZ_SECONDS := 60
SCRIPTS := scripts
PREFIX := /usr/local
SOAKED = $(abspath $(or $(LUNESSE_BUILD),$(BUILD)))
BUSTED := lua5.4 /usr/bin/busted
CLANG_FORMAT := $(firstword $(shell command -v clang-format-16 clang-format) clang-format)
# The npm packages are installed again when the lock file has changed.
NPM_CI = cmp -s spec/package-lock.json spec/node_modules/.lunesse-lock || \
  { echo "deps: installing the npm packages of spec/package-lock.json: npm ci"; \
    cd spec && npm ci --no-audit --no-fund && cp package-lock.json node_modules/.lunesse-lock; }
# A configure that failed leaves a CMakeCache.txt and no build.ninja; then CMake starts anew.
CONFIGURE = test -f $(1)/build.ninja || cmake --fresh -G Ninja -B $(1)
OURS = $(shell find src spec -name node_modules -prune -o -name '*.[ch]' -print)

.PHONY: help deps test-deps build debug run install test test-fast mutations docs lint format format-check bench count soak fuzz clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22

deps: ## install the Debian packages that running needs
	@cmake/deps.sh run

test-deps: ## ... and those that the specs need, with the npm packages
	@cmake/deps.sh test
	@$(NPM_CI)

build: deps ## a release build in build/
	@$(call CONFIGURE,$(BUILD)) -DCMAKE_BUILD_TYPE=Release
	@cmake --build $(BUILD) --target lunesse lunesse-bench lunesse-test lunesse_test

debug: deps ## a debug build with assertions in build/debug/
	@$(call CONFIGURE,$(DEBUG)) -DCMAKE_BUILD_TYPE=Debug
	@cmake --build $(DEBUG)

run: build ## build, then serve the scripts in scripts/; PORT=8080 SCRIPTS=/path for others
	@$(BUILD)/lunesse $(if $(PORT),--port $(PORT)) $(SCRIPTS)

# PREFIX=/usr for packages; DESTDIR=folder stages all of it below a folder.
install: build ## the programs, the manual, stubs, scripts, units and docs, below PREFIX (/usr/local)
	@DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX)

test: test-deps build debug ## the whole suite
	@LUNESSE_BUILD=$(CURDIR)/$(DEBUG) $(BUSTED)

# What runs in the test kit (the kit itself, the shipped scripts, what scripts can do, channels,
# streams, requests and answers), and the C units. Under 30 s: what starts many programs, or a
# browser, and what cuts requests at every byte, is left to `make test`.
FAST := spec/unit_spec.lua spec/support_spec.lua spec/stubs_spec.lua \
  $(foreach name,both client core loading names parts stream,spec/kit/$(name)_spec.lua) \
  $(foreach name,answers by_hand chat clock countdown index poll publish tokens, \
    spec/scripts/$(name)_spec.lua) \
  $(foreach name,all answers event lifetimes request response server shared_ceiling standard tasks \
    timers,spec/script/$(name)_spec.lua) \
  $(foreach name,api greet notices read several subscribe,spec/hub/$(name)_spec.lua) \
  $(foreach name,characters early_leaving framing handler head negotiation try_send, \
    spec/sse/$(name)_spec.lua) \
  $(foreach name,expect methods response routing,spec/http/$(name)_spec.lua)

test-fast: test-deps debug ## the specs to run while working; `make test` has the rest
	@LUNESSE_BUILD=$(CURDIR)/$(DEBUG) $(BUSTED) $(FAST)

# Ten changes of each script by each of six seeds: MUTATIONS=30 for more, MUTATIONS_SEEDS="7 8" for
# others, MUTATIONS_SCRIPTS="chat poll" for some scripts.
mutations: test-deps debug ## changes of one token in the shipped scripts, which their specs notice
	@LUNESSE_BUILD=$(CURDIR)/$(DEBUG) lua5.4 spec/mutations/run.lua

docs: test-deps ## write docs/api and the table of limits from the source
	@lua5.4 cmake/docs.lua

# Each file has a process of its own: clang-tidy 14 takes a va_list for uninitialised when it has read
# another file before.
lint: test-deps debug ## luacheck, cppcheck, clang-tidy and the house rules
	@luacheck --quiet .
	@cppcheck --quiet --std=c11 -D_GNU_SOURCE -Isrc --inline-suppr \
	  --enable=warning,performance,portability --suppress=arrayIndexOutOfBoundsCond \
	  --error-exitcode=1 src
	@find src -name '*.c' -print0 | xargs -0 -P2 -n1 clang-tidy --quiet -p $(DEBUG)
	@LUNESSE_BUILD=$(CURDIR)/$(DEBUG) $(BUSTED) spec/tidy_spec.lua

format: test-deps ## lay out the C files
	@$(CLANG_FORMAT) -i $(OURS)

format-check: test-deps ## fail where `make format` would change something
	@$(CLANG_FORMAT) --dry-run --Werror $(OURS)

# Half an hour. In four minutes, with figures to match: make bench BENCH_ROUNDS=1 BENCH_SECONDS=2
bench: build ## the benchmarks of spec/bench, beside nginx, Node and a bare epoll loop
	@cmake/deps.sh bench
	@$(NPM_CI)
	@cmake --build $(BUILD) --target spec_posix
	@ulimit -n "$$(ulimit -Hn)" || true; LUNESSE_BUILD=$(CURDIR)/$(BUILD) lua5.4 spec/bench/run.lua

# Another build: make count LUNESSE_BIN=/path/to/lunesse
count: build ## instructions of a connection, a request and a delivery, by callgrind
	@cmake/deps.sh test
	@cmake --build $(BUILD) --target spec_posix
	@LUNESSE_SLOW=20 LUNESSE_BUILD=$(CURDIR)/$(BUILD) lua5.4 spec/bench/count.lua

# All of it takes a quarter of an hour. One scenario: make soak SOAK=reload, or edit, drain, leave,
# reentry, tasks, soak. SOAK_WORKERS=2, SOAK_SECONDS=60, SOAK_SEEDS=2000, SOAK_STEPS=100000;
# LUNESSE_BUILD=build/asan LUNESSE_SLOW=4 for another build.
soak: build ## what has to hold while it runs for long: reloads, edits, the end, ten minutes of load
	@cmake/deps.sh soak
	@cmake --build $(SOAKED) --target lunesse lunesse_test lunesse-bench spec_posix soak_readers
	@ulimit -n "$$(ulimit -Hn)" || true; LUNESSE_BUILD=$(SOAKED) lua5.4 spec/soak/run.lua

fuzz: test-deps ## each fuzz target for FUZZ_SECONDS seconds; findings go into the corpus
	@$(call CONFIGURE,$(FUZZING)) -DFUZZ=ON -DCMAKE_C_COMPILER=clang
	@cmake --build $(FUZZING)
	@cmake/fuzz.sh $(FUZZING) $(FUZZ_SECONDS)

clean: ## remove everything that was built
	@rm -rf build spec/node_modules
