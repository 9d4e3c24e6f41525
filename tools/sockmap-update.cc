// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// sockmap-update: put a socket into a sockmap, a sockhash or a reuseport array:
// another process's, found by PID and FD, by its local address or by its cookie; or
// one that was passed to this process. Or take a socket out.

#include <bpf/bpf.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/netns.h"
#include "lib/object.h"
#include "lib/type.h"
#include "lib/value.h"
#include "sockmap-update/find.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 // include/uapi/asm-generic/socket.h, since Linux 5.14
#endif

struct Options {
	CommonOptions common;
	// Where the socket comes from: one of these.
	int pid = 0;
	int fd = -1;
	std::optional<LocalAddress> listen;
	std::optional<__u64> cookie;
	bool listen_fds = false;
	bool remove = false;

	std::string listen_fd; // NAME or INDEX of --listen-fds; empty: the only one
	__u64 flags = BPF_ANY; // BPF_NOEXIST or BPF_EXIST
	std::string map;
	std::string key = "0";
};

static void usage()
{
	fputs("Usage: sockmap-update [OPTIONS] PID FD MAP [KEY]\n"
	      "       sockmap-update [OPTIONS] --listen=PROTO:ADDR:PORT MAP [KEY]\n"
	      "       sockmap-update [OPTIONS] --cookie=COOKIE MAP [KEY]\n"
	      "       sockmap-update [OPTIONS] --listen-fds[=NAME|INDEX] MAP [KEY]\n"
	      "       sockmap-update --delete MAP [KEY]\n"
	      "Put a socket into the sockmap, sockhash or reuseport_sockarray pinned at MAP,\n"
	      "under KEY (default: 0), or take the socket under KEY out.\n"
	      "\n"
	      "      --listen=PROTO:ADDR:PORT  the socket with this local address, for example\n"
	      "                          tcp:127.0.0.1:7777 or udp:[::1]:53\n"
	      "      --cookie=COOKIE     the socket with this cookie, the hexadecimal sk: of\n"
	      "                          `ss -e`\n"
	      "      --listen-fds[=NAME|INDEX]  a socket passed by systemd (LISTEN_FDS): the\n"
	      "                          only one, or the one with this name or number from 0\n"
	      "      --delete            take the socket out of the map\n"
	      "      --noexist           only if the slot is empty\n"
	      "      --exist             only if the slot is used\n"
	      "  -n, --netns=NETNS       look for the socket in this network namespace: NAME,\n"
	      "                          PID or PATH (default: the caller's)\n"
	      "  -v, --verbose           print the result, and libbpf's log\n"
	      "  -h, --help              print this and exit\n"
	      "  -V, --version           print the version and exit\n",
	      stdout);
}

static void parse_positional(int argc, char **argv, Options &o)
{
	int sources = o.listen.has_value() + o.cookie.has_value() + o.listen_fds + o.remove;
	std::vector<std::string> args(argv, argv + argc);
	size_t at = 0;

	if (sources > 1)
		throw UsageError(
			"--listen, --cookie, --listen-fds and --delete cannot be used together");
	if (!sources) {
		if (args.size() < 3)
			throw UsageError("PID, FD and MAP are needed");
		o.pid = static_cast<int>(parse_number(args[0], "PID", 1, INT_MAX));
		o.fd = static_cast<int>(parse_number(args[1], "FD", 0, INT_MAX));
		at = 2;
	}
	if (o.remove && o.flags != BPF_ANY)
		throw UsageError("--noexist and --exist cannot be used with --delete");
	if (args.size() <= at)
		throw UsageError("MAP is missing");
	if (args.size() > at + 2)
		throw UsageError("too many arguments: " + quote(args[at + 2]));
	o.map = args[at];
	if (args.size() == at + 2)
		o.key = args[at + 1];
}

static void set_flags(Options &o, __u64 flags)
{
	if (o.flags != BPF_ANY && o.flags != flags)
		throw UsageError("--noexist and --exist cannot be used together");
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
		{"delete", no_argument, nullptr, 'd'},
		{"noexist", no_argument, nullptr, 'N'},
		{"exist", no_argument, nullptr, 'E'},

		{"netns", required_argument, nullptr, 'n'},
		{"verbose", no_argument, nullptr, 'v'},
		{"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "n:vhV", options, nullptr)) != -1) {
		std::string value = optarg ? optarg : "";

		switch (c) {
		case 'l':
			o.listen = parse_local_address(value);
			break;
		case 'c':
			o.cookie = parse_number(value.starts_with("sk:") ? value.substr(3) : value,
						"COOKIE", 1, UINT64_MAX, 16);
			break;
		case 'L':
			o.listen_fds = true;
			o.listen_fd = value;
			break;
		case 'd':
			o.remove = true;
			break;
		case 'N':
			set_flags(o, BPF_NOEXIST);
			break;
		case 'E':
			set_flags(o, BPF_EXIST);
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	parse_positional(argc - optind, argv + optind, o);
	return true;
}

static Fd find_socket(const Options &o)
{
	if (o.pid)
		return socket_of_process(o.pid, o.fd);
	if (o.listen)
		return socket_by_address(*o.listen);
	if (o.cookie)
		return socket_by_cookie(*o.cookie);
	return socket_passed(o.listen_fd);
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

static std::optional<__u64> netns_cookie(const Fd &sock)
{
	__u64 cookie = 0;
	socklen_t size = sizeof(cookie);

	if (getsockopt(sock.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0)
		return cookie;
	// Before Linux 5.14, only an administrator can ask, and only for the namespace itself.
	Fd netns(ioctl(sock.get(), SIOCGSKNS));
	struct stat st;
	if (netns && fstat(netns.get(), &st) == 0)
		return st.st_ino;
	return std::nullopt;
}

static int domain_of(const Fd &sock)
{
	int domain = AF_UNSPEC;
	socklen_t size = sizeof(domain);

	getsockopt(sock.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size);
	return domain;
}

static void warn_of_sk_lookup(const Fd &sock, const std::string &netns)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);
	Fd ours(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	if (domain_of(sock) != AF_INET && domain_of(sock) != AF_INET6)
		warn("the socket is neither IPv4 nor IPv6: sk_lookup cannot select it");
	if (getpeername(sock.get(), reinterpret_cast<struct sockaddr *>(&peer), &size) == 0)
		warn("the socket is connected: sk_lookup cannot select it");
	if (ours && netns_cookie(sock) != netns_cookie(ours))
		warn("the socket is in another network namespace than " +
		     (netns.empty() ? "this one" : quote(netns)) +
		     ": packets that sk_lookup assigns to it here get no answer");
}

// ---- update and delete

static std::string why_update(int err, const struct bpf_map_info &info)
{
	bool is_array = info.type == BPF_MAP_TYPE_REUSEPORT_SOCKARRAY;

	switch (err) {
	case EEXIST:
		return "the slot is used";
	case ENOENT:
		return "the slot is empty";
	case E2BIG:
		return "the map is full";
	case EOPNOTSUPP:
		return "a sockmap takes listening or connected TCP sockets and bound UDP sockets";
	case EINVAL:
	case enotsupp:
		return is_array ? "the array takes listening TCP and bound UDP sockets with "
				  "SO_REUSEPORT"
				: "";
	case EBUSY:
		return is_array ? "the socket is already in a map"
				: "the socket is already in a reuseport_sockarray";
	case EPERM:
		return "the map is frozen or read-only";
	}
	return "";
}

static void update(const Fd &map, const struct bpf_map_info &info,
		   const std::vector<unsigned char> &key, const Fd &sock, __u64 flags,
		   const std::string &what)
{
	__u64 value = sock.get();
	__u32 value32 = sock.get();

	if (bpf_map_update_elem(map.get(), key.data(),
				info.value_size == sizeof(value) ? static_cast<void *>(&value)
								 : &value32,
				flags))
		fail(errno, what, why_update(errno, info));
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

static int sockmap_update(int argc, char **argv)
{
	Options o;

	if (!parse(argc, argv, o))
		return 0;

	Fd map = open_pinned(ObjectKind::Map, o.map);
	struct bpf_map_info info = check_map(map, o.map);
	std::vector<unsigned char> key = parse_key(o.key, info);
	std::string slot = "map " + quote(o.map) + " at key " + quote(o.key);

	if (o.remove) {
		remove(map, key, "delete from " + slot);
		if (o.common.verbose)
			printf("key %s: empty\n", o.key.c_str());
		return 0;
	}
	enter_netns(o.common.netns);
	Fd sock = find_socket(o);
	update(map, info, key, sock, o.flags, "update " + slot);
	if (info.type != BPF_MAP_TYPE_REUSEPORT_SOCKARRAY)
		warn_of_sk_lookup(sock, o.common.netns);
	if (o.common.verbose)
		printf("key %s: socket with cookie %s\n", o.key.c_str(),
		       cookie_text(cookie_of(sock)).c_str());
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("sockmap-update", sockmap_update, argc, argv);
}
