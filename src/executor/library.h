/*
 * library.h
 *	  libvips: starting it, and what it can do on this machine.
 */
#ifndef IMGAPI_EXECUTOR_LIBRARY_H
#define IMGAPI_EXECUTOR_LIBRARY_H

#include "protocol/wire.h"

/* Starts libvips with what an executor needs and no more.  False: vips_error_buffer()
 * says why. */
extern bool img_library_start(bool verbose);

/* Runs every codec once, so that nothing is loaded, compiled or opened for the
 * first time after the sandbox has closed. */
extern void img_library_warm(void);

/* What can be read and written, found out by doing it. */
extern void img_library_abilities(ImgFormatAbility *ability);

#endif							/* IMGAPI_EXECUTOR_LIBRARY_H */
