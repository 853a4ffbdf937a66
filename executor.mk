# imgapi-executor: the program that works on pictures.
#
#	make build/imgapi-executor
#	make check-executor				its tests; they need no PostgreSQL
#	make check-executor ASAN=1		the same with the sanitizers of gcc
#	make fuzz FUZZ_SECONDS=20		hostile plans and files, with clang

PKG_CONFIG ?= pkg-config

EXECUTOR_PACKAGES = vips gmodule-2.0 libjpeg libpng libwebp lcms2 libseccomp
EXECUTOR_SRC = $(PLAN_SRC) $(sort $(wildcard src/executor/*.c))
EXECUTOR_DIR = build/executor$(if $(ASAN),-asan)
EXECUTOR_OBJS = $(EXECUTOR_SRC:src/%.c=$(EXECUTOR_DIR)/%.o)
EXECUTOR_CFLAGS = -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare $(if $(CI),-Werror) -fstack-protector-strong -D_FORTIFY_SOURCE=2 -D_GNU_SOURCE -DIMGAPI_EXECUTOR -Isrc
EXECUTOR_LDFLAGS = -Wl,-z,relro,-z,now
EXECUTOR_ASAN = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -U_FORTIFY_SOURCE

build/imgapi-executor build/imgapi-executor-asan: executor.mk
	@$(PKG_CONFIG) --exists $(EXECUTOR_PACKAGES) || { \
		echo "imgapi-executor needs $(EXECUTOR_PACKAGES). On Debian: apt-get install pkg-config libvips-dev libjpeg-dev libpng-dev libwebp-dev liblcms2-dev libseccomp-dev" >&2; exit 1; }
	$(CC) $(EXECUTOR_LDFLAGS) $(if $(ASAN),$(EXECUTOR_ASAN)) -o $@ $(filter %.o,$^) $$($(PKG_CONFIG) --libs $(EXECUTOR_PACKAGES)) -lm

build/imgapi-executor: $(EXECUTOR_OBJS)

# Headers are few: any change of one rebuilds all.
$(EXECUTOR_DIR)/%.o: src/%.c $(wildcard src/*/*.h) executor.mk
	@mkdir -p $(@D)
	$(CC) $(EXECUTOR_CFLAGS) $(if $(ASAN),$(EXECUTOR_ASAN)) -DIMG_VIPS_LIBDIR='"'$$($(PKG_CONFIG) --variable=libdir vips)'"' \
		$$($(PKG_CONFIG) --cflags $(EXECUTOR_PACKAGES)) -c -o $@ $<

# What executors do by themselves; see the file for how to call it.
build/executor-bench: bench/executor_bench.c $(PLAN_SRC) $(wildcard src/*/*.h)
	@mkdir -p $(@D)
	$(CC) -O2 -g -std=gnu11 -Wall -D_GNU_SOURCE -Isrc -o $@ bench/executor_bench.c $(PLAN_SRC) -lm
