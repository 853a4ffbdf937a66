# imgapi: image work inside PostgreSQL
#
#	make				build the extension and its programs
#	make install		install both
#	make demo			see it work, on a bare Debian machine, as root
#	make test			everything that tests the project, likewise
#	make help			more
#
# PGXS cannot build a module and programs in one Makefile, so the programs have
# rules of their own: executor.mk, fetcher.mk, gateway.mk.

EXTENSION = imgapi
EXTVERSION = 0.1.0
MODULE_big = imgapi

# Both in imgapi.so and in imgapi-executor.
PLAN_SRC = src/plan/registry.c src/plan/plan.c src/plan/metadata.c \
	src/protocol/wire.c $(sort $(wildcard src/operations/*.c src/formats/*.c))

EXTENSION_SRC = src/protocol/fetch.c \
	$(sort $(wildcard src/extension/*.c src/servers/*.c src/storage/*.c src/templates/*.c))
OBJS = $(PLAN_SRC:.c=.o) $(EXTENSION_SRC:.c=.o)
PROGRAMS = build/imgapi-executor build/imgapi-fetcher

DATA_built = sql/imgapi--$(EXTVERSION).sql
DATA = $(wildcard sql/imgapi--*--*.sql)
SQL_SRC = $(sort $(wildcard sql/install/*.sql))

REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --outputdir=build/regress --load-extension=imgapi
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=build/isolation --load-extension=imgapi
REGRESS_PREP = build/regress build/isolation

WARNINGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare $(if $(CI),-Werror)
PG_CPPFLAGS = -I$(srcdir)/src -DIMG_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -std=gnu11 $(WARNINGS)
EXTRA_CLEAN = $(wildcard build)

PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

all: $(PROGRAMS) build/imgapi-gateway build/imgapi-gateway.service
include executor.mk
include fetcher.mk
include gateway.mk

# What is missing for building is said at once, and how to get it. These goals
# install it themselves, or need nothing.
ifneq ($(filter-out demo test clean help,$(or $(MAKECMDGOALS),all)),)
MISSING := $(if $(PGXS),,PostgreSQL's server headers (`$(PG_CONFIG) --pgxs`)) \
	$(shell for p in $(EXECUTOR_PACKAGES) $(FETCHER_PACKAGES) $(GATEWAY_PACKAGES); do $(PKG_CONFIG) --exists $$p 2>/dev/null || echo $$p; done)
ifneq ($(strip $(MISSING)),)
define COMPLAINT
not found: $(strip $(MISSING))

	On Debian, as root:  apt-get install --no-install-recommends $(shell tools/install-packages --list build 2>/dev/null)
	or:                  tools/install-packages build
	PostgreSQL that is elsewhere:  make PG_CONFIG=/path/to/pg_config

endef
$(error $(COMPLAINT))
endif
endif

ifneq ($(PGXS),)
include $(PGXS)

# Headers are few: any change of one rebuilds all.
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*/*.h)

sql/imgapi--$(EXTVERSION).sql: $(SQL_SRC)
	cat $^ >$@

install: install-programs
install-programs: $(PROGRAMS)
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)/imgapi'
	$(INSTALL_PROGRAM) $(PROGRAMS) '$(DESTDIR)$(pkglibdir)/imgapi/'

# People start the gateway, or systemd does.
SYSTEMD_UNITS ?= $(shell $(PKG_CONFIG) --variable=systemdsystemunitdir systemd 2>/dev/null || echo /lib/systemd/system)

install: install-gateway
install-gateway: build/imgapi-gateway build/imgapi-gateway.service
	$(MKDIR_P) '$(DESTDIR)$(bindir)' '$(DESTDIR)$(SYSTEMD_UNITS)'
	$(INSTALL_PROGRAM) build/imgapi-gateway '$(DESTDIR)$(bindir)/'
	$(INSTALL_DATA) build/imgapi-gateway.service '$(DESTDIR)$(SYSTEMD_UNITS)/'

uninstall: uninstall-programs
uninstall-programs:
	rm -rf '$(DESTDIR)$(pkglibdir)/imgapi'
	rm -f '$(DESTDIR)$(bindir)/imgapi-gateway' '$(DESTDIR)$(SYSTEMD_UNITS)/imgapi-gateway.service'
else
clean:
	rm -rf build src/*/*.o src/*/*.bc imgapi.so sql/imgapi--$(EXTVERSION).sql
endif

build/regress build/isolation:
	mkdir -p $@

demo:
	@demo/run

test:
	@test/run

gallery:
	@tools/gallery

help:
	@echo 'make                      build the extension and its programs'
	@echo 'make install              install both (as root)'
	@echo 'make uninstall            remove them'
	@echo 'make demo                 see it work: installs packages, starts a server of its own'
	@echo 'make test                 all tests: installs packages, starts servers of its own'
	@echo 'make gallery              what each operation looks like, by the running server'
	@echo 'make installcheck         regression and isolation tests on the running server'
	@echo 'make check-executor       tests of imgapi-executor alone; ASAN=1 with sanitizers'
	@echo 'make check-fetcher        the same of imgapi-fetcher'
	@echo 'make fuzz FUZZ_SECONDS=20 hostile plans and files'
	@echo 'make clean                remove what was built'
	@echo
	@echo 'PG_CONFIG=/path/to/pg_config builds for another PostgreSQL.'

.PHONY: install-programs install-gateway uninstall-programs demo test gallery help
