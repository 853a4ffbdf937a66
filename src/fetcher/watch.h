/*
 * watch.h
 *	  Waits for sockets on behalf of libcurl.
 */
#ifndef IMGAPI_FETCHER_WATCH_H
#define IMGAPI_FETCHER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

/* Descriptors are below that number. */
extern bool img_watch_start(CURLM *multi, size_t descriptors);

/* A descriptor of our own, and for which epoll events: 0 leaves its end. */
extern bool img_watch(int fd, uint32_t events);

/* Waits at most so long (ms, -1: as long as libcurl has nothing to do), hands
 * events to libcurl and returns those of our own descriptor. */
extern uint32_t img_watch_wait(int own_fd, int milliseconds);

/* A socket that libcurl closes by telling us. */
extern bool img_watch_adopt(int fd);
extern void img_watch_forget(int fd);

#endif							/* IMGAPI_FETCHER_WATCH_H */
