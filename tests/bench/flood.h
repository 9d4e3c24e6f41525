/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What flood.bpf.c tells flood.cc. */
#pragma once

#include <linux/types.h>

struct flood_sent {
	__u64 packets; /* all */
	__u64 timed;   /* those sent from `first` to `last` */
	__u64 first;   /* ns */
	__u64 last;
	__u64 next; /* of `sources` */
};
