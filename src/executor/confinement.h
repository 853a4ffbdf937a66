/*
 * confinement.h
 *	  What an executor may do once it sees pictures.
 */
#ifndef IMGAPI_EXECUTOR_CONFINEMENT_H
#define IMGAPI_EXECUTOR_CONFINEMENT_H

#include "program/sandbox.h"

#define IMG_EXECUTOR_DESCRIPTORS	64

extern const ImgConfinement img_executor_confinement;

#endif							/* IMGAPI_EXECUTOR_CONFINEMENT_H */
