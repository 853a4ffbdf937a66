# imgapi: image work inside PostgreSQL
#
#	make				build the extension and its programs
#	make install		install both
#	make demo			see it work, on a bare Debian machine, as root
#	make test			everything that tests the project
#
# PGXS cannot build a module and programs in one Makefile, so the programs have
# rules of their own below.

EXTENSION = imgapi
EXTVERSION = 0.1.0
MODULE_big = imgapi

# Both in imgapi.so and in imgapi-executor.
PLAN_SRC = src/plan/registry.c src/plan/plan.c src/plan/metadata.c \
	src/protocol/wire.c $(sort $(wildcard src/operations/*.c src/formats/*.c))

EXTENSION_SRC = $(sort $(wildcard src/extension/*.c))
OBJS = $(PLAN_SRC:.c=.o) $(EXTENSION_SRC:.c=.o)

DATA_built = sql/imgapi--$(EXTVERSION).sql
DATA = $(wildcard sql/imgapi--*--*.sql)
SQL_SRC = $(sort $(wildcard sql/install/*.sql))

WARNINGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare $(if $(CI),-Werror)
PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -std=gnu11 $(WARNINGS)
EXTRA_CLEAN = $(PROGRAMS) $(wildcard build)

PG_CONFIG ?= pg_config
ifeq ($(shell command -v $(PG_CONFIG)),)
$(error $(PG_CONFIG) not found. On Debian: apt-get install postgresql-server-dev-all; or name it: make PG_CONFIG=/path/to/pg_config)
endif
PGXS := $(shell $(PG_CONFIG) --pgxs)

PROGRAMS = build/imgapi-executor
all: $(PROGRAMS)
include $(PGXS)

sql/imgapi--$(EXTVERSION).sql: $(SQL_SRC)
	cat $^ >$@

include executor.mk

install: install-programs
install-programs: $(PROGRAMS)
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)/imgapi'
	$(INSTALL_PROGRAM) $(PROGRAMS) '$(DESTDIR)$(pkglibdir)/imgapi/'

uninstall: uninstall-programs
uninstall-programs:
	rm -rf '$(DESTDIR)$(pkglibdir)/imgapi'

.PHONY: install-programs uninstall-programs
