/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The counters of echo_dispatch, which user space reads. */
#ifndef HOOKSET_ECHO_DISPATCH_H
#define HOOKSET_ECHO_DISPATCH_H

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* Lookups for an open port, counted since the program was loaded. */
struct echo_stats {
	__u64 dispatched; /* given to the socket in echo_socket */
	__u64 no_socket;  /* dropped: echo_socket is empty */
	__u64 refused;	  /* the kernel refused the socket for them: the normal lookup goes on */
};

static_assert(sizeof(struct echo_stats) == 24, "struct echo_stats is part of the interface");

#endif
