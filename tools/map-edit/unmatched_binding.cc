// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <arpa/inet.h>

#include <cstddef>
#include <cstring>
#include <string_view>

#include "../../bpf/sk_dispatch.h"
#include "../lib/cli.h"
#include "entry_bytes.h"
#include "unmatched.h"

// In a key, dispatch_proto may be any number, which to read as one has no defined result.
using ProtoNumber = __u16;
static_assert(sizeof(ProtoNumber) == sizeof(dispatch_proto));

static const char *why_address(const unsigned char *, __u32)
{
	return nullptr;
}

static const char *why_address6(const unsigned char *address, __u32 length)
{
	if (length >= 96 && is_v4_mapped(read_as<in6_addr>(address)))
		return "this map is for IPv6: IPv4 addresses belong in the map whose name ends in "
		       "4";
	return nullptr;
}

static const char *why_proto(ProtoNumber proto)
{
	return proto == any || proto == tcp || proto == udp
		       ? nullptr
		       : "sk_lookup programs see TCP and UDP only";
}

static const char *why_number(__u32 service)
{
	return service && service < DISPATCH_SERVICES ? nullptr
						      : "services have the numbers from 1 to 4095";
}

static const char *why_service(const unsigned char *value)
{
	return why_number(read_as<dispatch_service>(value).service);
}

template <class Key, const char *(*why_addr)(const unsigned char *, __u32)>
static const char *why_binding(const unsigned char *key, const unsigned char *value)
{
	auto prefixlen = read_as<__u32>(key);

	if (const char *why = why_proto(read_as<ProtoNumber>(key + offsetof(Key, proto))))
		return why;
	if (const char *why =
		    why_addr(key + offsetof(Key, addr), prefixlen < 32 ? 0 : prefixlen - 32))
		return why;
	return why_service(value);
}

template <class Key, const char *(*why_addr)(const unsigned char *, __u32)>
static const char *why_host(const unsigned char *key, const unsigned char *value)
{
	auto proto = read_as<ProtoNumber>(key + offsetof(Key, proto));

	if (proto == any || !read_as<__be16>(key + offsetof(Key, port)))
		return "a binding without a port or a protocol belongs in dispatch4 or dispatch6";
	if (const char *why = why_proto(proto))
		return why;
	if (const char *why = why_addr(key + offsetof(Key, addr), 128))
		return why;
	return why_service(value);
}

static const char *why_name(const unsigned char *key, const unsigned char *value)
{
	const auto *text = reinterpret_cast<const char *>(value);
	std::string_view name(text, strnlen(text, DISPATCH_NAME_SIZE));

	if (const char *why = why_number(read_as<__u32>(key)))
		return why;
	if (name.empty())
		return "the name is empty";
	return is_digits(name) ? "sockmap-update takes digits for the number of a service"
			       : nullptr;
}

static_assert(DISPATCH_SERVICES == 4096, "a text above says so");
static const UnmatchedCheck checks[] = {
	{"dispatch4", sizeof(struct dispatch4), sizeof(dispatch_service),
	 why_binding<struct dispatch4, why_address>},
	{"dispatch6", sizeof(struct dispatch6), sizeof(dispatch_service),
	 why_binding<struct dispatch6, why_address6>},
	{"dispatch_host4", sizeof(dispatch_host4), sizeof(dispatch_service),
	 why_host<dispatch_host4, why_address>},
	{"dispatch_host6", sizeof(dispatch_host6), sizeof(dispatch_service),
	 why_host<dispatch_host6, why_address6>},
	{"dispatch_name", sizeof(__u32), DISPATCH_NAME_SIZE, why_name},
};

const std::span<const UnmatchedCheck> binding_checks = checks;
