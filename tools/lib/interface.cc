// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "interface.h"

#include <net/if.h>

#include <cerrno>

#include "cli.h"

Interface find_interface(const std::string &name)
{
	unsigned int index = if_nametoindex(name.c_str());

	if (!index)
		fail(errno, "find device " + quote(name));
	return {name, static_cast<int>(index)};
}

struct bpf_xdp_query_opts query_xdp(const Interface &interface)
{
	std::string what = "query the XDP program of " + quote(interface.name);
	LIBBPF_OPTS(bpf_xdp_query_opts, xdp);
	char name[IF_NAMESIZE];

	if (int err = bpf_xdp_query(interface.index, 0, &xdp))
		fail(-err, what);
	// Before libbpf 1.5, the query of an interface that is gone succeeds.
	if (!if_indextoname(interface.index, name))
		fail(ENODEV, what);
	return xdp;
}
