# imgapi-executor: the program that works on pictures.
#
#	make build/imgapi-executor
#	make check-executor				its tests; they need no PostgreSQL
#	make check-executor ASAN=1		the same with the sanitizers of gcc
#	make fuzz FUZZ_SECONDS=20		hostile plans and files, with clang

PKG_CONFIG ?= pkg-config

EXECUTOR_PACKAGES = vips gmodule-2.0 libjpeg libpng libwebp lcms2 libseccomp libarchive
EXECUTOR_SRC = $(PLAN_SRC) $(sort $(wildcard src/program/*.c src/executor/*.c))
EXECUTOR_DIR = build/executor$(if $(ASAN),-asan)
EXECUTOR_OBJS = $(EXECUTOR_SRC:src/%.c=$(EXECUTOR_DIR)/%.o)
EXECUTOR_CFLAGS = -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare $(if $(CI),-Werror) -fstack-protector-strong -D_FORTIFY_SOURCE=2 -D_GNU_SOURCE -DIMGAPI_EXECUTOR -Isrc
EXECUTOR_LDFLAGS = -Wl,-z,relro,-z,now
EXECUTOR_ASAN = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -U_FORTIFY_SOURCE

EXECUTOR = build/imgapi-executor$(if $(ASAN),-asan)

$(EXECUTOR): $(EXECUTOR_OBJS)
	$(CC) $(EXECUTOR_LDFLAGS) $(if $(ASAN),$(EXECUTOR_ASAN)) -o $@ $(EXECUTOR_OBJS) $$($(PKG_CONFIG) --libs $(EXECUTOR_PACKAGES)) -lm

# Headers are few: any change of one rebuilds all.
$(EXECUTOR_DIR)/%.o: src/%.c $(wildcard src/*/*.h) executor.mk
	@mkdir -p $(@D)
	@$(PKG_CONFIG) --exists $(EXECUTOR_PACKAGES) || { \
		echo "imgapi-executor needs $(EXECUTOR_PACKAGES). On Debian: apt-get install pkg-config libvips-dev libjpeg-dev libpng-dev libwebp-dev liblcms2-dev libseccomp-dev libarchive-dev" >&2; exit 1; }
	$(CC) $(EXECUTOR_CFLAGS) $(if $(ASAN),$(EXECUTOR_ASAN)) -DIMG_VIPS_LIBDIR='"'$$($(PKG_CONFIG) --variable=libdir vips)'"' \
		$$($(PKG_CONFIG) --cflags $(EXECUTOR_PACKAGES)) -c -o $@ $<

# What executors do by themselves; see the file for how to call it.
build/executor-bench: bench/executor_bench.c $(PLAN_SRC) $(wildcard src/*/*.h)
	@mkdir -p $(@D)
	$(CC) -O2 -g -std=gnu11 -Wall -D_GNU_SOURCE -Isrc -o $@ bench/executor_bench.c $(PLAN_SRC) -lm

# The same work without any of this; bench/operations compares.
build/plain-libvips: bench/plain_libvips.c
	@mkdir -p $(@D)
	$(CC) -O2 -g -std=gnu11 -Wall $$($(PKG_CONFIG) --cflags vips) -o $@ $< $$($(PKG_CONFIG) --libs vips) -lm

# Debian's, which has python3-pil.
PYTHON3 ?= /usr/bin/python3

check-executor: $(EXECUTOR)
	ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 LSAN_OPTIONS=suppressions=$(CURDIR)/test/executor/leaks.txt:print_suppressions=0 \
		UBSAN_OPTIONS=print_stacktrace=1 $(PYTHON3) test/executor/run.py $(EXECUTOR)

# Hostile bytes, with clang's libFuzzer.  New finds go to build/fuzz; the corpus
# in the tree is where it starts from.
FUZZ_SECONDS ?= 20
FUZZ_CC ?= clang
FUZZ_CFLAGS = -O1 -g -std=gnu11 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -D_GNU_SOURCE -Isrc
FUZZERS = build/fuzz/fuzz_plan build/fuzz/fuzz_sniff

build/fuzz/fuzz_plan: test/fuzz/fuzz_plan.c $(PLAN_SRC) $(wildcard src/*/*.h)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -o $@ $(filter %.c,$^) -lm

build/fuzz/fuzz_sniff: test/fuzz/fuzz_sniff.c $(filter-out src/executor/main.c,$(EXECUTOR_SRC)) $(wildcard src/*/*.h)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -DIMGAPI_EXECUTOR $$($(PKG_CONFIG) --cflags --libs $(EXECUTOR_PACKAGES)) \
		-DIMG_VIPS_LIBDIR='"'$$($(PKG_CONFIG) --variable=libdir vips)'"' -o $@ $(filter %.c,$^) -lm

fuzz: $(FUZZERS)
	for f in $(notdir $(FUZZERS)); do \
		mkdir -p build/fuzz/corpus/$$f && \
		LSAN_OPTIONS=suppressions=$(CURDIR)/test/executor/leaks.txt:print_suppressions=0 \
		build/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=3000 -close_fd_mask=3 \
			-artifact_prefix=build/fuzz/ build/fuzz/corpus/$$f test/fuzz/corpus/$$f || exit 1; \
	done

.PHONY: check-executor fuzz
