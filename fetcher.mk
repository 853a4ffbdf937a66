# imgapi-fetcher: the program that talks to the network.
#
#	make build/imgapi-fetcher
#	make check-fetcher				its tests; they need no PostgreSQL
#	make check-fetcher ASAN=1		the same with the sanitizers of gcc
#	make build/fetcher-bench		what it does by itself: bench/fetcher_bench.c

FETCHER_PACKAGES = libcurl openssl libseccomp
FETCHER_SRC = src/protocol/wire.c src/protocol/fetch.c $(sort $(wildcard src/program/*.c src/fetcher/*.c))
FETCHER_DIR = build/fetcher$(if $(ASAN),-asan)
FETCHER_OBJS = $(FETCHER_SRC:src/%.c=$(FETCHER_DIR)/%.o)
FETCHER_CFLAGS = -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare $(if $(CI),-Werror) -fstack-protector-strong -D_FORTIFY_SOURCE=2 -D_GNU_SOURCE -Isrc

FETCHER = build/imgapi-fetcher$(if $(ASAN),-asan)
FETCHER_PROBE = build/fetcher-probe$(if $(ASAN),-asan)

$(FETCHER): $(FETCHER_OBJS)
	$(CC) $(EXECUTOR_LDFLAGS) $(if $(ASAN),$(EXECUTOR_ASAN)) -o $@ $(FETCHER_OBJS) $$($(PKG_CONFIG) --libs $(FETCHER_PACKAGES)) -pthread

# Headers are few: any change of one rebuilds all.
$(FETCHER_DIR)/%.o: src/%.c $(wildcard src/*/*.h) fetcher.mk
	@mkdir -p $(@D)
	$(CC) $(FETCHER_CFLAGS) $(if $(ASAN),$(EXECUTOR_ASAN)) $$($(PKG_CONFIG) --cflags $(FETCHER_PACKAGES)) -c -o $@ $<

# What cannot be asked over the socket: the table of addresses, the sandbox.
$(FETCHER_PROBE): test/fetcher/probe.c $(filter-out $(FETCHER_DIR)/fetcher/main.o,$(FETCHER_OBJS)) $(wildcard src/*/*.h)
	$(CC) $(FETCHER_CFLAGS) $(if $(ASAN),$(EXECUTOR_ASAN)) -o $@ $(filter %.c %.o,$^) $$($(PKG_CONFIG) --cflags --libs $(FETCHER_PACKAGES)) -pthread

build/fetcher-bench: bench/fetcher_bench.c src/protocol/wire.c src/protocol/fetch.c $(wildcard src/*/*.h)
	@mkdir -p $(@D)
	$(CC) -O2 -g -std=gnu11 -Wall -D_GNU_SOURCE -Isrc -o $@ $(filter %.c,$^)

check-fetcher: $(FETCHER) $(FETCHER_PROBE)
	UBSAN_OPTIONS=print_stacktrace=1 $(PYTHON3) test/fetcher/run.py $(FETCHER) $(FETCHER_PROBE)

.PHONY: check-fetcher
