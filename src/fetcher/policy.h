/*
 * policy.h
 *	  Which addresses may be reached unless the owner allows all.
 */
#ifndef IMGAPI_FETCHER_POLICY_H
#define IMGAPI_FETCHER_POLICY_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * What kind of address this is, as in "loopback" or "private", if it is not one
 * of the public Internet; NULL if it is.
 */
extern const char *img_address_kind(const struct sockaddr *address);

/* The same of an address as inet_ntop() writes it. */
extern const char *img_address_text_kind(const char *text);

/* As inet_ntop() writes it; empty for other families. */
extern void img_address_text(const struct sockaddr *address, char *text, socklen_t size);

#endif							/* IMGAPI_FETCHER_POLICY_H */
