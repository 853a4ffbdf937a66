/*
 * confinement.h
 *	  What a fetcher may do once it talks to the network.
 */
#ifndef IMGAPI_FETCHER_CONFINEMENT_H
#define IMGAPI_FETCHER_CONFINEMENT_H

#include "program/sandbox.h"

extern const ImgConfinement img_fetcher_confinement;

#endif							/* IMGAPI_FETCHER_CONFINEMENT_H */
