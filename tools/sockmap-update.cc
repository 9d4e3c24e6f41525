// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// sockmap-update: put a socket into a sockmap, a sockhash or a reuseport array:
// another process's, found by PID and FD, by its local address or by its cookie; or
// one that was passed to this process. Or take a socket out.

#include <bpf/bpf.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/lock.h"
#include "lib/netns.h"
#include "lib/object.h"
#include "lib/type.h"
#include "lib/value.h"
#include "sockmap-update/find.h"
#include "sockmap-update/process.h"
#include "sockmap-update/service.h"
#include "sockmap-update/socket.h"
#include "sockmap-update/unit.h"

struct Options {
	CommonOptions common;
	// Where the socket comes from: one of these.
	int pid = 0;
	int fd = -1;
	std::optional<LocalAddress> listen;
	std::optional<__u64> cookie;
	bool listen_fds = false;
	std::string unit;
	bool remove = false;

	std::string listen_fd; // NAME or INDEX of --listen-fds; empty: any
	bool all = false;      // of the sockets found
	__u64 flags = BPF_ANY; // BPF_NOEXIST or BPF_EXIST
	bool force = false;
	std::optional<__u64> replace_if; // the cookie of the socket that is in the slot
	unsigned wait = default_wait;	 // seconds
	std::string service;		 // number or name; empty: `key` is given
	std::string map;
	std::string key = "0";
};

static void usage()
{
	fputs("Usage: sockmap-update [OPTIONS] PID FD MAP [KEY]\n"
	      "       sockmap-update [OPTIONS] --listen=PROTO:ADDR:PORT MAP [KEY]\n"
	      "       sockmap-update [OPTIONS] --cookie=COOKIE MAP [KEY]\n"
	      "       sockmap-update [OPTIONS] --listen-fds[=NAME|INDEX] MAP [KEY]\n"
	      "       sockmap-update [OPTIONS] --unit=UNIT MAP [KEY]\n"
	      "       sockmap-update --delete MAP [KEY]\n"
	      "Put a socket into the sockmap, sockhash or reuseport_sockarray pinned at MAP,\n"
	      "under KEY (default: 0), or take the socket under KEY out. A socket that no\n"
	      "sk_lookup program can use is refused.\n"
	      "\n"
	      "      --listen=PROTO:ADDR:PORT  the socket with this local address, as ss prints\n"
	      "                          it behind tcp: or udp:, for example tcp:*:80\n"
	      "      --cookie=COOKIE     the socket with this cookie, the hexadecimal sk: of\n"
	      "                          `ss -e`\n"
	      "      --listen-fds[=NAME|INDEX]  a socket passed by systemd (LISTEN_FDS): the\n"
	      "                          only one, or the one with this name or number from 0\n"
	      "      --unit=UNIT         a socket of this systemd unit\n"
	      "      --delete            take the socket out of the map\n"
	      "      --all               all sockets that are found, under KEY and the keys\n"
	      "                          behind it; with --service, each in its own slot\n"
	      "      --force             put it there, even if no sk_lookup program can use it\n"
	      "      --noexist           only if the slot is empty\n"
	      "      --exist             only if the slot is used\n"
	      "      --replace-if=COOKIE  only if the socket with this cookie is in the slot\n"
	      "      --service=SERVICE   in place of KEY: the slot of this sk_dispatch service\n"
	      "                          for the protocol and family of the socket, or all of\n"
	      "                          them with --delete\n"
	      "      --wait=SECONDS      wait so long while others have the directory of MAP\n"
	      "                          locked (default: 30)\n"
	      "  -n, --netns=NETNS       look for the socket in this network namespace: NAME,\n"
	      "                          PID or PATH (default: the caller's)\n"
	      "  -v, --verbose           print the result, and libbpf's log\n"
	      "  -h, --help              print this and exit\n"
	      "  -V, --version           print the version and exit\n",
	      stdout);
}

static void parse_positional(int argc, char **argv, Options &o)
{
	int sources = o.listen.has_value() + o.cookie.has_value() + o.listen_fds + !o.unit.empty() +
		      o.remove;
	std::vector<std::string> args(argv, argv + argc);
	size_t at = 0;

	if (sources > 1)
		throw UsageError("--listen, --cookie, --listen-fds, --unit and --delete cannot be "
				 "used together");
	if (!sources) {
		if (args.size() < 3)
			throw UsageError("PID, FD and MAP are needed");
		o.pid = static_cast<int>(parse_number(args[0], "PID", 1, INT_MAX));
		o.fd = static_cast<int>(parse_number(args[1], "FD", 0, INT_MAX));
		at = 2;
	}
	if (o.all && !o.listen && !o.listen_fds && o.unit.empty())
		throw UsageError("--all can only be used with --listen, --listen-fds and --unit");
	if (o.all && o.flags != BPF_ANY)
		throw UsageError("--noexist, --exist and --replace-if cannot be used with --all");
	if (o.remove && (o.flags != BPF_ANY || o.force))
		throw UsageError("--noexist, --exist, --replace-if and --force cannot be used with "
				 "--delete");
	if (args.size() <= at)
		throw UsageError("MAP is missing");
	if (args.size() > at + 2)
		throw UsageError("too many arguments: " + quote(args[at + 2]));
	o.map = args[at];
	if (args.size() < at + 2)
		return;
	if (!o.service.empty())
		throw UsageError("KEY and --service cannot be used together");
	o.key = args[at + 1];
}

static __u64 parse_cookie(const std::string &text)
{
	return parse_number(text.starts_with("sk:") ? text.substr(3) : text, "COOKIE", 1,
			    UINT64_MAX, 16);
}

static void set_flags(Options &o, __u64 flags)
{
	if (o.flags != BPF_ANY && o.flags != flags)
		throw UsageError("--noexist cannot be used with --exist and --replace-if");
	o.flags = flags;
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
		// These are long only: not in the string below.
		{"listen", required_argument, nullptr, 'l'},
		{"cookie", required_argument, nullptr, 'c'},
		{"listen-fds", optional_argument, nullptr, 'L'},
		{"unit", required_argument, nullptr, 'u'},
		{"delete", no_argument, nullptr, 'd'},
		{"all", no_argument, nullptr, 'a'},
		{"noexist", no_argument, nullptr, 'N'},
		{"exist", no_argument, nullptr, 'E'},
		{"force", no_argument, nullptr, 'f'},
		{"replace-if", required_argument, nullptr, 'R'},
		{"service", required_argument, nullptr, 's'},
		{"wait", required_argument, nullptr, 'w'},

		{"netns", required_argument, nullptr, 'n'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = next_option(argc, argv, "n:vhV", options)) != -1) {
		std::string value = optarg ? optarg : "";

		switch (c) {
		case 'l':
			o.listen = parse_local_address(value);
			break;
		case 'c':
			o.cookie = parse_cookie(value);
			break;
		case 'L':
			o.listen_fds = true;
			o.listen_fd = value;
			break;
		case 'u':
			o.unit = require_nonempty(value, "--unit");
			if (o.unit.find('/') != std::string::npos)
				throw UsageError("--unit " + quote(o.unit) +
						 " is not the name of a unit");
			break;
		case 'd':
			o.remove = true;
			break;
		case 'a':
			o.all = true;
			break;
		case 'N':
			set_flags(o, BPF_NOEXIST);
			break;
		case 'E':
			set_flags(o, BPF_EXIST);
			break;
		case 'f':
			o.force = true;
			break;
		case 'R':
			o.replace_if = parse_cookie(value);
			set_flags(o, BPF_EXIST); // it may be closed meanwhile
			break;
		case 's':
			o.service = require_nonempty(value, "--service");
			break;
		case 'w':
			o.wait = parse_wait(optarg);
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	parse_positional(argc - optind, argv + optind, o);
	return true;
}

static std::vector<Fd> find_sockets(const Options &o)
{
	std::vector<Fd> one;

	if (o.listen)
		return sockets_by_address(*o.listen, o.all);
	if (o.listen_fds)
		return sockets_passed(o.listen_fd, o.all);
	if (!o.unit.empty())
		return sockets_of_unit(o.unit, o.all);
	one.push_back(o.cookie ? socket_by_cookie(*o.cookie) : socket_of_process(o.pid, o.fd));
	return one;
}

// ---- the slot

static struct bpf_map_info check_map(const Fd &map, const std::string &path)
{
	struct bpf_map_info info = map_info(map);

	// A map of another type would store the number of our fd.
	if (info.type != BPF_MAP_TYPE_SOCKMAP && info.type != BPF_MAP_TYPE_SOCKHASH &&
	    info.type != BPF_MAP_TYPE_REUSEPORT_SOCKARRAY)
		fail("open map " + quote(path),
		     "its type is " + map_type_name(info.type) +
			     ", not sockmap, sockhash or reuseport_sockarray");
	return info;
}

// The key's bytes. The key of a sockmap or an array is an index. The key of a sockhash is a number
// in host byte order if it has the size of one, else its bytes in hexadecimal.
static std::vector<unsigned char> parse_key(const std::string &text,
					    const struct bpf_map_info &info)
{
	__u32 size = info.key_size;
	bool is_number = size == 1 || size == 2 || size == 4 || size == 8;
	Type type = is_number ? named_type("u" + std::to_string(8 * size)) : bytes_of(size);
	std::vector<unsigned char> key(size);

	try {
		parse(type, text, key);
	} catch (const ValueError &e) {
		throw UsageError(std::string("KEY: ") + e.what());
	}
	if (info.type != BPF_MAP_TYPE_SOCKHASH && integer(type, key) >= info.max_entries)
		fail("find key " + quote(text),
		     "index out of range (0-" + std::to_string(info.max_entries - 1) + ")");
	return key;
}

// ---- sockets that sk_lookup cannot use

static std::vector<std::string> why_not_selected(const Fd &sock, const std::string &netns)
{
	Fd ours(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	int domain = socket_option(sock, SO_DOMAIN);
	std::vector<std::string> reasons;

	// Others no sockmap takes, as the kernel's refusal will say.
	if ((domain == AF_UNIX || domain == AF_VSOCK) &&
	    (is_connected(sock) || socket_option(sock, SO_TYPE) == SOCK_DGRAM))
		reasons.push_back("the socket is " + describe(sock) +
				  ": sk_lookup cannot select it");
	else if (is_inet(sock) && is_connected(sock))
		reasons.emplace_back("the socket is connected: sk_lookup cannot select it");
	std::optional<__u64> here = ours ? netns_of(ours) : std::nullopt;
	std::optional<__u64> there = netns_of(sock);
	if (here && there && *here != *there)
		reasons.push_back("the socket is in another network namespace than " +
				  (netns.empty() ? "this one" : quote(netns)) +
				  ": packets that sk_lookup assigns to it here get no answer");
	return reasons;
}

// ---- update and delete

// The way out for a server that does not know that its socket is MPTCP; or "".
static std::string way_out(const Fd &sock)
{
	if (socket_option(sock, SO_PROTOCOL) != protocol_mptcp)
		return "";
	return " (let the server open TCP: in Go by GODEBUG=multipathtcp=0 or "
	       "ListenConfig.SetMultipathTCP(false), for all by sysctl net.mptcp.enabled=0)";
}

static std::string why_refused_by_sockmap(const Fd &sock)
{
	return "the socket is " + describe(sock) +
	       "; a sockmap takes listening or connected TCP sockets and bound UDP sockets" +
	       way_out(sock);
}

static std::string why_refused_by_array(const Fd &sock)
{
	int protocol = socket_option(sock, SO_PROTOCOL);
	std::string what = describe(sock);

	if ((protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) && is_inet(sock))
		what += socket_option(sock, SO_REUSEPORT) == 1 ? ", with SO_REUSEPORT"
							       : ", without SO_REUSEPORT";
	return "the socket is " + what +
	       "; the array takes listening TCP sockets and bound UDP sockets whose SO_REUSEPORT "
	       "was set before bind()" +
	       way_out(sock);
}

[[noreturn]] static void fail_update(int err, const std::string &what,
				     const struct bpf_map_info &info, const Fd &sock)
{
	bool is_array = info.type == BPF_MAP_TYPE_REUSEPORT_SOCKARRAY;
	std::string upper_layer = upper_layer_of(sock);

	switch (err) {
	case EEXIST:
		fail(err, what, "the slot is used");
	case ENOENT:
		fail(err, what, "the slot is empty");
	case E2BIG:
		fail(err, what, "the map is full");
	case EOPNOTSUPP:
	case enotsupp:
		fail(what, is_array ? why_refused_by_array(sock) : why_refused_by_sockmap(sock));
	case EINVAL:
		if (is_array)
			fail(what, why_refused_by_array(sock));
		fail(err, what,
		     upper_layer.empty()
			     ? ""
			     : "the socket has the upper layer protocol " + upper_layer);
	case EBUSY:
		fail(err, what,
		     is_array ? "the socket is already in a map, or the kernel uses it: L2TP, KCM"
			      : "the socket is already in a reuseport_sockarray, or the kernel "
				"uses it: L2TP, KCM");
	case EPERM:
		fail(err, what, "the map is frozen or read-only");
	}
	fail(err, what);
}

// A socket and its place.
struct Slot {
	Fd sock;
	std::string name; // its key, as the user types it
	std::vector<unsigned char> key;
};

// Returns false where that fails; errno says why.
static bool put(const Fd &map, const struct bpf_map_info &info, const Slot &slot, __u64 flags)
{
	__u64 value = slot.sock.get();
	__u32 value32 = slot.sock.get();
	void *sized = info.value_size == sizeof(value) ? static_cast<void *>(&value) : &value32;

	return bpf_map_update_elem(map.get(), slot.key.data(), sized, flags) == 0;
}

// All of them or, where that fails, none but those in place of another socket, which cannot be had
// back.
static void put_all(const Fd &map, const struct bpf_map_info &info, const std::vector<Slot> &slots,
		    const std::string &to)
{
	std::vector<const Slot *> was_empty;

	for (const Slot &slot : slots) {
		if (put(map, info, slot, BPF_NOEXIST)) {
			was_empty.push_back(&slot);
			continue;
		}
		if (errno == EEXIST && put(map, info, slot, BPF_ANY))
			continue;
		int err = errno;
		for (const Slot *put_before : was_empty)
			bpf_map_delete_elem(map.get(), put_before->key.data());
		fail_update(err, to + quote(slot.name), info, slot.sock);
	}
}

static void remove(const Fd &map, const std::vector<unsigned char> &key, const std::string &what)
{
	if (bpf_map_delete_elem(map.get(), key.data()) == 0)
		return;
	// For an empty slot, a sockmap returns EINVAL, the other types ENOENT.
	if (errno == EINVAL || errno == ENOENT)
		fail(what, "the slot is empty");
	fail(errno, what, errno == EPERM ? "the map is frozen or read-only" : "");
}

static void report(const std::vector<std::string> &results, const CommonOptions &common)
{
	std::string done;

	for (const std::string &result : results) {
		if (common.verbose)
			puts(result.c_str());
		done += (done.empty() ? "" : "; ") + result;
	}
	flush_stdout("but it is done: " + done);
}

// Refuse a socket that no sk_lookup program can use; with `force`, say so when it is done.
static void check_usable(const Fd &sock, const std::string &netns, bool force,
			 const std::string &what)
{
	for (const std::string &reason : why_not_selected(sock, netns)) {
		if (!force)
			fail(what, reason + " (--force puts it there)");
		warn(reason);
	}
}

// Fail where another socket than the one with this cookie is in the slot. Until the slot is
// written, the lock of the directory keeps other helpers away.
static void check_holds(const Fd &map, const struct bpf_map_info &info,
			const std::vector<unsigned char> &key, __u64 cookie,
			const std::string &what)
{
	__u64 holds = 0;

	// Of a map with such values the kernel gives the cookie.
	if (info.value_size != sizeof(holds))
		fail(what, "the values of the map have 4 bytes, and the kernel tells no cookie");
	if (bpf_map_lookup_elem(map.get(), key.data(), &holds)) {
		if (errno == ENOENT)
			fail(what, "the slot is empty");
		fail(errno, what);
	}
	if (holds != cookie)
		fail(what, "the slot has the socket with cookie " + cookie_text(holds) + ", not " +
				   cookie_text(cookie));
}

static int remove_sockets(const Options &o, const Fd &map, const struct bpf_map_info &info)
{
	std::string from = "delete from map " + quote(o.map) + " at key ";
	std::string result;

	if (o.service.empty()) {
		std::vector<unsigned char> key = parse_key(o.key, info);

		remove(map, key, from + quote(o.key));
		result = "key " + printable(o.key) + ": empty";
	} else {
		__u32 first = slots_per_service * service_number(o.service, o.map);
		bool removed = false;

		for (__u32 slot = first; slot < first + slots_per_service; slot++) {
			if (bpf_map_delete_elem(map.get(), &slot) == 0)
				removed = true;
			else if (errno != EINVAL && errno != ENOENT) // the slot is not empty
				fail(errno, from + std::to_string(slot));
		}
		if (!removed)
			fail("delete the sockets of service " + quote(o.service), "it has none");
		result = "service " + printable(o.service) + ": empty";
	}
	report({result}, o.common);
	return 0;
}

// Each socket under a key of its own, from `first` on.
static std::vector<Slot> slots_from(const std::string &first, const struct bpf_map_info &info,
				    std::vector<Fd> sockets)
{
	std::vector<Slot> slots;

	if (sockets.size() > 1 && info.type == BPF_MAP_TYPE_SOCKHASH)
		fail("find the keys of " + std::to_string(sockets.size()) + " sockets",
		     "those of a sockhash have no order: give it one socket at a time");
	for (Fd &sock : sockets) {
		std::string name =
			slots.empty()
				? first
				: std::to_string(integer(named_type("u32"), slots.back().key) + 1);

		slots.push_back({std::move(sock), name, parse_key(name, info)});
	}
	return slots;
}

// Each socket in the slot that the service has for such. Of a group with SO_REUSEPORT one is
// enough.
static std::vector<Slot> slots_of_service(__u32 service, const struct bpf_map_info &info,
					  std::vector<Fd> sockets)
{
	std::vector<Slot> slots;

	for (Fd &sock : sockets) {
		std::string name = std::to_string(slot_of_service(service, sock));
		auto same = std::ranges::find(slots, name, &Slot::name);

		if (same == slots.end())
			slots.push_back({std::move(sock), name, parse_key(name, info)});
		else if (!are_one_group(same->sock, sock))
			fail("find the slots of service " + std::to_string(service),
			     "two sockets are for one: choose one by --cookie: " +
				     cookie_text(cookie_of(same->sock)) + ", " +
				     cookie_text(cookie_of(sock)));
	}
	return slots;
}

static int sockmap_update(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	auto locks = lock_directories({directory_of(o.map)}, o.wait);
	Fd map = open_pinned(ObjectKind::Map, o.map);
	struct bpf_map_info info = check_map(map, o.map);
	if (!o.service.empty())
		check_has_services(info, o.map);
	if (o.common.verbose)
		check_stdout();
	if (o.remove)
		return remove_sockets(o, map, info);

	parse_key(o.key, info);
	__u32 service = o.service.empty() ? 0 : service_number(o.service, o.map);
	enter_netns(o.common.netns);
	std::vector<Slot> slots = service ? slots_of_service(service, info, find_sockets(o))
					  : slots_from(o.key, info, find_sockets(o));
	std::string to = "update map " + quote(o.map) + " at key ";
	std::vector<std::string> results;
	for (const Slot &slot : slots) {
		results.push_back("key " + printable(slot.name) + ": socket with cookie " +
				  cookie_text(cookie_of(slot.sock)));
		if (info.type != BPF_MAP_TYPE_REUSEPORT_SOCKARRAY)
			check_usable(slot.sock, o.common.netns, o.force, to + quote(slot.name));
	}
	if (service && !has_binding(service, o.map))
		warn("no binding is for service " + std::to_string(service) + " yet");
	if (o.replace_if)
		check_holds(map, info, slots[0].key, *o.replace_if, to + quote(slots[0].name));
	if (o.all)
		put_all(map, info, slots, to);
	else if (!put(map, info, slots[0], o.flags))
		fail_update(errno, to + quote(slots[0].name), info, slots[0].sock);
	report(results, o.common);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("sockmap-update", sockmap_update, argc, argv);
}
