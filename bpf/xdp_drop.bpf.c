// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * xdp_drop as SEC("xdp"), with the port as a knob that is set before loading:
 * drop_port, a TCP destination port in host byte order. See xdp_drop.c.
 */
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#ifndef DROP_PORT
#define DROP_PORT 8080
#endif
_Static_assert(DROP_PORT > 0 && DROP_PORT <= 65535, "DROP_PORT is no TCP port");
const volatile __u16 drop_port = DROP_PORT;

#undef DROP_PORT
#define DROP_PORT drop_port
#define SECTION XDP_SECTION
#define XDP_DROP_KNOBS
#include "xdp_drop.c"
