// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "service.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "../../bpf/sk_dispatch.h"
#include "../lib/cli.h"
#include "../lib/object.h"
#include "socket.h"

static_assert(slots_per_service == udp6 + 1);

static __u32 service_by_name(const std::string &name, const std::string &path)
{
	std::string what = "find service " + quote(name);
	Fd map = open_pinned(ObjectKind::Map, path, true);
	struct bpf_map_info info = map_info(map);
	std::vector<__u32> found;
	std::array<char, DISPATCH_NAME_SIZE> text{};

	if (info.key_size != sizeof(__u32) || info.value_size != text.size())
		fail(what, quote(path) + " is not the map dispatch_name of sk_dispatch");
	for (__u32 service = 1; service < DISPATCH_SERVICES; service++) {
		if (bpf_map_lookup_elem(map.get(), &service, text.data()) == 0) {
			if (name == std::string(text.data(), strnlen(text.data(), text.size())))
				found.push_back(service);
		} else if (errno != ENOENT) {
			fail(errno, what);
		}
	}
	if (found.empty())
		fail(what, "no service has this name in " + quote(path));
	if (found.size() > 1)
		fail(what, "services " + std::to_string(found[0]) + " and " +
				   std::to_string(found[1]) + " have this name");
	return found[0];
}

__u32 service_number(const std::string &number_or_name, const std::string &map)
{
	if (is_digits(number_or_name))
		return static_cast<__u32>(
			parse_number(number_or_name, "--service", 1, DISPATCH_SERVICES - 1));
	return service_by_name(number_or_name, map.substr(0, map.rfind('/') + 1) + "dispatch_name");
}

void check_has_services(const struct bpf_map_info &info, const std::string &path)
{
	if (info.type != BPF_MAP_TYPE_SOCKMAP ||
	    info.max_entries != slots_per_service * DISPATCH_SERVICES)
		fail("open map " + quote(path), "it is not the map dispatch_socket of sk_dispatch");
}

__u32 slot_of_service(__u32 service, const Fd &sock)
{
	int protocol = socket_option(sock, SO_PROTOCOL);

	if (!is_inet(sock) || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
		fail("find the slot of service " + std::to_string(service),
		     "the socket is " + describe(sock) + ", and services have TCP and UDP sockets");
	__u32 slot = protocol == IPPROTO_UDP ? udp4 : tcp4;
	if (socket_option(sock, SO_DOMAIN) == AF_INET6)
		slot += tcp6 - tcp4;
	return slots_per_service * service + slot;
}
