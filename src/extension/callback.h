/*
 * callback.h
 *	  callback_url: what is accepted.
 */
#ifndef IMGAPI_CALLBACK_H
#define IMGAPI_CALLBACK_H

/* Errors: 22P02 no http or https URL, 22023 a port that imgapi.callback_ports
 * does not have, 54000 too long. */
extern void img_check_callback_url(const char *url);

/* Whether imgapi.callback_ports still has it. */
extern bool img_callback_port_is_allowed(const char *url);

#endif							/* IMGAPI_CALLBACK_H */
