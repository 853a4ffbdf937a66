# imgapi-gateway: the program that opens links over HTTP.
#
#	make build/imgapi-gateway

PKG_CONFIG ?= pkg-config

GATEWAY_PACKAGES = libmicrohttpd libpq libcrypto
GATEWAY_SRC = $(sort $(wildcard src/gateway/*.c))
GATEWAY_OBJS = $(GATEWAY_SRC:src/%.c=build/%.o)
GATEWAY_CFLAGS = -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Wno-sign-compare $(if $(CI),-Werror) -fstack-protector-strong -D_FORTIFY_SOURCE=2 -D_GNU_SOURCE -Isrc

GATEWAY = build/imgapi-gateway

$(GATEWAY): $(GATEWAY_OBJS)
	$(CC) -Wl,-z,relro,-z,now -o $@ $(GATEWAY_OBJS) $$($(PKG_CONFIG) --libs $(GATEWAY_PACKAGES)) -lpthread

# Headers are few: any change of one rebuilds all.
build/gateway/%.o: src/gateway/%.c $(wildcard src/gateway/*.h) gateway.mk
	@mkdir -p $(@D)
	$(CC) $(GATEWAY_CFLAGS) $$($(PKG_CONFIG) --cflags $(GATEWAY_PACKAGES)) -c -o $@ $<

# The unit knows where the program is.
build/imgapi-gateway.service: src/gateway/imgapi-gateway.service.in
	@mkdir -p $(@D)
	sed 's|@bindir@|$(bindir)|' $< >$@
