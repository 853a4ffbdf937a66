/*
 * settings.h
 *	  The settings imgapi.*, their units, ranges and defaults.
 */
#ifndef IMGAPI_SETTINGS_H
#define IMGAPI_SETTINGS_H

#include "datatype/timestamp.h"
#include "protocol/wire.h"

typedef enum ImgSandbox
{
	IMG_SANDBOX_REQUIRE, IMG_SANDBOX_PREFER, IMG_SANDBOX_OFF
} ImgSandbox;

extern char *imgapi_databases;
extern int	imgapi_executors;		/* 0: one a processor */
extern int	imgapi_max_inflight;	/* 0: as many as keep the executors busy */
extern int	imgapi_max_source_bytes;	/* kB */
extern int	imgapi_max_source_pixels;
extern int	imgapi_max_frames;
extern int	imgapi_max_output_side; /* px */
extern int	imgapi_job_timeout;		/* ms */
extern int	imgapi_executor_memory; /* MB */
extern char *imgapi_formats;
extern char *imgapi_retention;
extern char *imgapi_job_retention;	/* empty: imgapi.retention */
extern bool imgapi_auto_purge;
extern int	imgapi_max_attempts;
extern char *imgapi_admin_role;
extern bool imgapi_notify;
extern bool imgapi_allow_private_networks;
extern char *imgapi_callback_ports;
extern bool imgapi_reuse;
extern int	imgapi_sandbox;
extern int	imgapi_link_lifetime;	/* s */
extern char *imgapi_public_url;
extern char *imgapi_default_servers;	/* route.h */

extern void img_define_settings(void);

/* How many executors a pool or a dispatcher has. */
extern int	img_executor_count(void);

/* How long the pictures of a job that is submitted now are kept, and the job
 * itself; 54000 beyond imgapi.retention. */
extern Interval *img_job_retention(void);

/* When a picture that is uploaded at that time expires. */
extern TimestampTz img_expiry(TimestampTz from);

/* The settings that travel with every request. */
extern ImgLimits img_limits(void);

/* Bit n: img_formats[n] may be read. */
extern uint32_t img_allowed_formats(void);

/* Whether a list as of imgapi.callback_ports has that one. */
extern bool img_port_is_listed(const char *ports, int port);

/* 54000 for a picture of more than imgapi.max_source_bytes. */
extern void img_check_source_bytes(size_t bytes);

/* Whether imgapi.databases names this one. */
extern bool img_database_is_served(const char *name);

#endif							/* IMGAPI_SETTINGS_H */
