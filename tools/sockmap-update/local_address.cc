// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "local_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include "../lib/cli.h"

static int parse_protocol(const std::string &text)
{
	if (text == "tcp")
		return IPPROTO_TCP;
	if (text == "udp")
		return IPPROTO_UDP;
	throw UsageError("--listen: unknown protocol " + quote(text) + " (expected tcp or udp)");
}

// A number, or a name in /etc/services, as ss(8) prints it without -n.
static __be16 parse_port(const std::string &text, const std::string &protocol)
{
	const struct servent *service =
		is_digits(text) ? nullptr : getservbyname(text.c_str(), protocol.c_str());

	if (service)
		return static_cast<__be16>(service->s_port);
	return htons(parse_number(text, "PORT", 1, UINT16_MAX));
}

static void parse_address(std::string text, LocalAddress &local)
{
	if (text == "*") { // ::, which is left in the bytes
		local.family = AF_INET6;
		local.dual_stack = true;
		return;
	}
	local.family = AF_INET;
	if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
		local.family = AF_INET6;
		text = text.substr(1, text.size() - 2);
	}
	if (inet_pton(local.family, text.c_str(), local.address.data()) != 1)
		throw UsageError("--listen: " + quote(text) + " is not an " +
				 (local.family == AF_INET ? "IPv4 address (IPv6 is written [ADDR])"
							  : "IPv6 address"));
}

LocalAddress parse_local_address(const std::string &text)
{
	size_t first = text.find(':');
	size_t last = text.rfind(':');
	LocalAddress local;

	local.text = text;
	if (first == std::string::npos || first == last || text.back() == ']')
		throw UsageError("--listen " + quote(text) + " is not PROTO:ADDR:PORT");
	std::string protocol = text.substr(0, first);
	std::string address = text.substr(first + 1, last - first - 1);

	local.protocol = parse_protocol(protocol);
	// Behind the bracket, where there is one: within, ss(8) writes no device.
	size_t percent = address.find('%', address.starts_with('[') ? address.find(']') : 0);
	if (percent != std::string::npos) {
		local.device =
			require_nonempty(address.substr(percent + 1), "--listen: the device");
		address.resize(percent);
	}
	parse_address(address, local);
	local.port = parse_port(text.substr(last + 1), protocol);
	return local;
}
