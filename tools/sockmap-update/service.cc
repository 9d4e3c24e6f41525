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

// What is pinned beside `map` under this name.
static std::string beside(const std::string &map, const std::string &name)
{
	return map.substr(0, map.rfind('/') + 1) + name;
}

static bool binds(const Fd &bindings, __u32 service)
{
	struct bpf_map_info info = map_info(bindings);
	std::vector<unsigned char> key(info.key_size);
	struct dispatch_service value;

	if (info.value_size != sizeof(value))
		return false;
	// Where a key is removed meanwhile, the kernel begins anew: a map has no more than this.
	for (__u32 i = 0; i <= info.max_entries; i++) {
		if (bpf_map_get_next_key(bindings.get(), i ? key.data() : nullptr, key.data()))
			return false;
		if (bpf_map_lookup_elem(bindings.get(), key.data(), &value) == 0 &&
		    value.service == service)
			return true;
	}
	return false;
}

bool has_binding(__u32 service, const std::string &map)
{
	bool seen = false;

	for (const char *name : {"dispatch4", "dispatch6", "dispatch_host4", "dispatch_host6"}) {
		LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_RDONLY);
		Fd bindings(bpf_obj_get_opts(beside(map, name).c_str(), &opts));

		if (!bindings)
			continue;
		seen = true;
		if (binds(bindings, service))
			return true;
	}
	return !seen;
}

__u32 service_number(const std::string &number_or_name, const std::string &map)
{
	if (is_digits(number_or_name))
		return static_cast<__u32>(
			parse_number(number_or_name, "--service", 1, DISPATCH_SERVICES - 1));
	return service_by_name(number_or_name, beside(map, "dispatch_name"));
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
