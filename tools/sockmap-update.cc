// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// sockmap-update: put a socket into a sockmap, a sockhash or a reuseport array:
// another process's by PID and FD, by its local address, by its cookie, or one
// that was passed to us. Or take one out.

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/cli.h"
#include "lib/fd.h"
#include "lib/netns.h"
#include "lib/object.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 // include/uapi/asm-generic/socket.h, since Linux 5.14
#endif
constexpr int listen_fds_start = 3;	// SD_LISTEN_FDS_START of sd_listen_fds(3)
constexpr int listen_fds_max = 1048576; // fs.nr_open: no process has more

// A local address as --listen takes it, PROTO:ADDR:PORT.
struct Listen {
	std::string text;		 // as it was given
	int protocol = 0;		 // IPPROTO_TCP or IPPROTO_UDP
	int family = 0;			 // AF_INET or AF_INET6
	std::array<__be32, 4> address{}; // network order; IPv4 in the first
	__be16 port = 0;
};

struct Options {
	CommonOptions common;
	// Where the socket comes from: one of these.
	int pid = 0;
	int fd = -1;
	std::optional<Listen> listen;
	std::optional<__u64> cookie;
	bool listen_fds = false;
	bool remove = false;

	std::string listen_fd; // NAME or INDEX of --listen-fds; empty: the only one
	std::string netns;     // empty: our own
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
	      "under KEY (default: 0), or take out what is there.\n"
	      "\n"
	      "  -l, --listen=PROTO:ADDR:PORT  the socket with this local address, such as\n"
	      "                          tcp:127.0.0.1:7777 or udp:[::1]:53\n"
	      "  -c, --cookie=COOKIE     the socket with this cookie, the hexadecimal sk: of\n"
	      "                          `ss -e`\n"
	      "  -L, --listen-fds[=NAME|INDEX]  a socket passed by systemd (LISTEN_FDS): the\n"
	      "                          only one, or the one of that name or number from 0\n"
	      "  -d, --delete            take the socket out of the map\n"
	      "  -N, --noexist           only into an empty slot\n"
	      "  -E, --exist             only into a used slot\n"
	      "  -n, --netns=NETNS       look for the socket in this network namespace: NAME,\n"
	      "                          PID or PATH (default: our own)\n"
	      "  -v, --verbose           say what was done; let libbpf speak\n"
	      "  -h, --help              print this and exit\n"
	      "  -V, --version           print the version and exit\n",
	      stdout);
}

// PROTO:ADDR:PORT, with an IPv6 address in square brackets.
static Listen parse_listen(const std::string &text)
{
	size_t first = text.find(':');
	size_t last = text.rfind(':');
	Listen l;

	l.text = text;
	if (first == std::string::npos || first == last || text.back() == ']')
		throw UsageError("--listen " + quote(text) + " is not PROTO:ADDR:PORT");
	std::string protocol = text.substr(0, first);
	std::string address = text.substr(first + 1, last - first - 1);

	if (protocol == "tcp")
		l.protocol = IPPROTO_TCP;
	else if (protocol == "udp")
		l.protocol = IPPROTO_UDP;
	else
		throw UsageError("--listen: protocol " + quote(protocol) +
				 " is neither tcp nor udp");

	l.family = AF_INET;
	if (address.size() >= 2 && address.front() == '[' && address.back() == ']') {
		l.family = AF_INET6;
		address = address.substr(1, address.size() - 2);
	}
	if (inet_pton(l.family, address.c_str(), l.address.data()) != 1)
		throw UsageError("--listen: " + quote(address) + " is not an " +
				 (l.family == AF_INET ? "IPv4 address (IPv6 is written [ADDR])"
						      : "IPv6 address"));
	l.port = htons(parse_number(text.substr(last + 1), "PORT", 1, UINT16_MAX));
	return l;
}

static void parse_positional(int argc, char **argv, Options &o)
{
	int sources = o.listen.has_value() + o.cookie.has_value() + o.listen_fds + o.remove;
	std::vector<std::string> args(argv, argv + argc);
	size_t at = 0;

	if (sources > 1)
		throw UsageError("only one of --listen, --cookie, --listen-fds, --delete");
	if (!sources) {
		if (args.size() < 3)
			throw UsageError("PID, FD and MAP are needed");
		o.pid = static_cast<int>(parse_number(args[0], "PID", 1, INT_MAX));
		o.fd = static_cast<int>(parse_number(args[1], "FD", 0, INT_MAX));
		at = 2;
	}
	if (o.remove && o.flags != BPF_ANY)
		throw UsageError("--noexist and --exist do not go with --delete");
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
		throw UsageError("only one of --noexist, --exist");
	o.flags = flags;
}

// Returns false where --help or --version has been answered.
static bool parse(int argc, char **argv, Options &o)
{
	static const struct option options[] = {
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

	while ((c = getopt_long(argc, argv, "l:c:L::dNEn:vhV", options, nullptr)) != -1) {
		std::string value = optarg ? optarg : "";

		switch (c) {
		case 'l':
			o.listen = parse_listen(value);
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
		case 'n':
			o.netns = require_nonempty(value, "--netns");
			break;
		default:
			if (!take_common_option(c, o.common, usage))
				return false;
		}
	}
	parse_positional(argc - optind, argv + optind, o);
	return true;
}

// ---- which socket

static Fd socket_of_process(int pid, int fd)
{
	std::string process = "process " + std::to_string(pid);
	std::string what = "get fd " + std::to_string(fd) + " of " + process;
	Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
	struct stat st;

	if (!pidfd && errno == EINVAL)
		fail("open " + process, "not a process but one of its threads");
	if (!pidfd && errno == ENOENT) // what Linux 6.15 and later say to a thread's id
		fail("open " + process, "not a process but one of its threads");
	if (!pidfd)
		fail(errno, "open " + process);

	Fd sock(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), fd, 0)));
	if (!sock)
		fail(errno, what,
		     errno == EPERM ? "not your process, or kernel.yama.ptrace_scope forbids it"
				    : "");
	if (fstat(sock.get(), &st) || !S_ISSOCK(st.st_mode))
		fail(what, "not a socket");
	return sock;
}

// All sockets of one protocol and family in the network namespace of `netlink`
// whose state is in `states`, each given to `each` as the kernel reports it.
template <typename Each>
static void dump_sockets(const Fd &netlink, int family, int protocol, __u32 states, Each each)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} message = {};
	alignas(struct nlmsghdr) std::array<char, 32768> buffer;

	message.header.nlmsg_len = sizeof(message);
	message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	message.request.sdiag_family = family;
	message.request.sdiag_protocol = protocol;
	message.request.idiag_states = states;
	if (send(netlink.get(), &message, sizeof(message), 0) < 0)
		fail(errno, "ask for the sockets of the network namespace");

	for (;;) {
		ssize_t size = recv(netlink.get(), buffer.data(), buffer.size(), 0);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			fail(errno, "read the sockets of the network namespace");
		auto *header = reinterpret_cast<struct nlmsghdr *>(buffer.data());
		for (; NLMSG_OK(header, size); header = NLMSG_NEXT(header, size)) {
			if (header->nlmsg_type == NLMSG_DONE)
				return;
			if (header->nlmsg_type == NLMSG_ERROR) {
				auto *e = static_cast<struct nlmsgerr *>(NLMSG_DATA(header));
				fail(-e->error, "read the sockets of the network namespace",
				     e->error == -ENOENT ? "the kernel lacks tcp_diag or udp_diag"
							 : "");
			}
			each(*static_cast<struct inet_diag_msg *>(NLMSG_DATA(header)));
		}
	}
}

static __u64 cookie_of(const struct inet_diag_msg &m)
{
	return m.id.idiag_cookie[0] | static_cast<__u64>(m.id.idiag_cookie[1]) << 32;
}

static __u64 cookie_of(const Fd &sock)
{
	__u64 cookie = 0;
	socklen_t size = sizeof(cookie);

	getsockopt(sock.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size);
	return cookie;
}

struct CloseDir {
	void operator()(DIR *dir) const
	{
		closedir(dir);
	}
};
using Dir = std::unique_ptr<DIR, CloseDir>;

// The directory's entries that are numbers.
static std::vector<std::string> numbers_in(const std::string &path, bool &denied)
{
	std::vector<std::string> found;
	Dir dir(opendir(path.c_str()));

	if (!dir && errno == EACCES)
		denied = true;
	while (const struct dirent *entry = dir ? readdir(dir.get()) : nullptr)
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
			found.emplace_back(entry->d_name);
	return found;
}

// Find a process that holds the socket, as ss(8) does, and copy it out of there.
static Fd socket_by_inode(__u32 inode, __u64 cookie, const std::string &what)
{
	std::string name = "socket:[" + std::to_string(inode) + "]";
	std::string reason;
	bool denied = false;

	for (const std::string &pid : numbers_in("/proc", denied)) {
		std::string fds = "/proc/" + pid + "/fd";

		for (const std::string &fd : numbers_in(fds, denied)) {
			std::string path = fds;
			std::array<char, 64> target{};

			path += "/" + fd;
			if (readlink(path.c_str(), target.data(), target.size() - 1) < 0 ||
			    name != target.data())
				continue;
			try {
				Fd sock = socket_of_process(
					static_cast<int>(parse_number(pid, "PID", 1, INT_MAX)),
					static_cast<int>(parse_number(fd, "FD", 0, INT_MAX)));
				// The fd may have been closed and used anew since we looked.
				if (cookie_of(sock) == cookie)
					return sock;
			} catch (const std::runtime_error &e) {
				reason = e.what(); // another process may hold it, too
			}
		}
	}
	if (reason.empty())
		reason = denied ? "no process of yours holds it" : "no process holds it";
	fail(what, reason);
}

static Fd open_sock_diag()
{
	Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));

	if (!netlink)
		fail(errno, "open a sock_diag netlink socket");
	return netlink;
}

static Fd socket_by_address(const Listen &l, const Fd &netlink)
{
	std::string what = "find socket " + quote(l.text);
	// A UDP socket that is not connected has the state of a closed one.
	__u32 states = l.protocol == IPPROTO_TCP ? 1 << TCP_LISTEN : 1 << TCP_CLOSE;
	std::string cookies;
	struct inet_diag_msg found = {};
	int count = 0;

	dump_sockets(netlink, l.family, l.protocol, states, [&](const struct inet_diag_msg &m) {
		char cookie[24];

		if (m.id.idiag_sport != l.port ||
		    memcmp(m.id.idiag_src, l.address.data(), l.family == AF_INET ? 4 : 16) != 0)
			return;
		snprintf(cookie, sizeof(cookie), "%llx", cookie_of(m));
		cookies += (count++ ? ", " : "") + std::string(cookie);
		found = m;
	});
	if (!count)
		fail(what, l.protocol == IPPROTO_TCP ? "nobody listens there"
						     : "no unconnected socket is bound there");
	if (count > 1)
		fail(what, "several sockets are bound there: give the --cookie: " + cookies);
	return socket_by_inode(found.idiag_inode, cookie_of(found), what);
}

static Fd socket_by_cookie(__u64 cookie, const Fd &netlink)
{
	std::optional<__u32> inode;
	char text[24];

	snprintf(text, sizeof(text), "%llx", cookie);
	std::string what = "find socket with cookie " + std::string(text);
	for (int family : {AF_INET, AF_INET6})
		for (int protocol : {IPPROTO_TCP, IPPROTO_UDP})
			if (!inode)
				dump_sockets(netlink, family, protocol, UINT32_MAX,
					     [&](const struct inet_diag_msg &m) {
						     if (cookie_of(m) == cookie)
							     inode = m.idiag_inode;
					     });
	if (!inode)
		fail(what, "there is none in the network namespace");
	return socket_by_inode(*inode, cookie, what);
}

// The socket that systemd, or who speaks as it does, passed to us: sd_listen_fds(3).
static Fd socket_passed(const std::string &which)
{
	std::string what = "find passed socket" + (which.empty() ? "" : " " + quote(which));
	const char *pid = getenv("LISTEN_PID");
	const char *count_text = getenv("LISTEN_FDS");
	const char *names_text = getenv("LISTEN_FDNAMES");
	std::vector<int> matches;
	struct stat st;

	if (!pid || !count_text || pid != std::to_string(getpid()))
		fail(what, "none was passed to this process (LISTEN_PID, LISTEN_FDS)");
	int count = static_cast<int>(parse_number(count_text, "LISTEN_FDS", 0, listen_fds_max));
	std::string names = names_text ? names_text : "";
	bool is_index =
		!which.empty() && which.find_first_not_of("0123456789") == std::string::npos;

	for (int i = 0; i < count; i++) {
		size_t colon = names.find(':');
		std::string name = names.substr(0, colon);

		names = colon == std::string::npos ? "" : names.substr(colon + 1);
		if (which.empty() || (is_index ? std::to_string(i) : name) == which)
			matches.push_back(listen_fds_start + i);
	}
	if (matches.empty())
		fail(what, "it is not among the " + std::to_string(count) + " passed");
	if (matches.size() > 1)
		fail(what, "several match: give an INDEX, from 0 to " + std::to_string(count - 1));

	Fd sock(fcntl(matches[0], F_DUPFD_CLOEXEC, 0));
	if (!sock)
		fail(errno, what);
	if (fstat(sock.get(), &st) || !S_ISSOCK(st.st_mode))
		fail(what, "not a socket");
	return sock;
}

static Fd find_socket(const Options &o)
{
	if (o.pid)
		return socket_of_process(o.pid, o.fd);
	if (o.listen)
		return socket_by_address(*o.listen, open_sock_diag());
	if (o.cookie)
		return socket_by_cookie(*o.cookie, open_sock_diag());
	return socket_passed(o.listen_fd);
}

// ---- which slot

static struct bpf_map_info check_map(const Fd &map, const std::string &path)
{
	struct bpf_map_info info = map_info(map);

	// Any other type would take the fd for a number, and keep it.
	if (info.type != BPF_MAP_TYPE_SOCKMAP && info.type != BPF_MAP_TYPE_SOCKHASH &&
	    info.type != BPF_MAP_TYPE_REUSEPORT_SOCKARRAY)
		fail("open map " + quote(path),
		     "its type is " + map_type_name(info.type) +
			     ", not sockmap, sockhash or reuseport_sockarray");
	return info;
}

// The key's bytes. A sockmap and an array have an index; the key of a sockhash is
// a number in host byte order if it has the size of one, else its bytes in
// hexadecimal.
static std::vector<char> parse_key(const std::string &text, const struct bpf_map_info &info)
{
	std::vector<char> key(info.key_size);

	if (info.type != BPF_MAP_TYPE_SOCKHASH) {
		__u32 index = parse_number(text, "KEY", 0, UINT32_MAX);

		if (index >= info.max_entries)
			fail("find key " + quote(text),
			     info.max_entries == 1 ? "the map's only slot is 0"
						   : "the map's slots are 0 to " +
							     std::to_string(info.max_entries - 1));
		memcpy(key.data(), &index, sizeof(index));
		return key;
	}
	if (key.size() == 1 || key.size() == 2 || key.size() == 4 || key.size() == 8) {
		unsigned bits = 8 * key.size();
		__u64 value = parse_number(text, "KEY", 0, UINT64_MAX >> (64 - bits));
		__u64 shifted =
			__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? value << (64 - bits) : value;

		memcpy(key.data(), &shifted, key.size());
		return key;
	}
	if (text.size() != 2 * key.size() ||
	    text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
		throw UsageError("KEY " + quote(text) + " is not " + std::to_string(key.size()) +
				 " bytes in hexadecimal");
	for (size_t i = 0; i < key.size(); i++)
		key[i] = static_cast<char>(
			parse_number(text.substr(2 * i, 2), "KEY", 0, UINT8_MAX, 16));
	return key;
}

// ---- what sk_lookup could not use

static std::optional<__u64> netns_cookie(const Fd &sock)
{
	__u64 cookie = 0;
	socklen_t size = sizeof(cookie);

	if (getsockopt(sock.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0)
		return cookie;
	// Before Linux 5.14 only an administrator can ask, for the namespace itself.
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
		warn("the socket is not of IPv4 or IPv6: sk_lookup cannot select it");
	if (getpeername(sock.get(), reinterpret_cast<struct sockaddr *>(&peer), &size) == 0)
		warn("the socket is connected: sk_lookup cannot select it");
	if (ours && netns_cookie(sock) != netns_cookie(ours))
		warn("the socket lives in another network namespace than " +
		     (netns.empty() ? "this one" : quote(netns)) +
		     ": what sk_lookup gives it here gets no answer");
}

// ---- what is done

static std::string why_update(int err, const struct bpf_map_info &info)
{
	bool array = info.type == BPF_MAP_TYPE_REUSEPORT_SOCKARRAY;

	switch (err) {
	case EEXIST:
		return "the slot is used";
	case ENOENT:
		return "the slot is empty";
	case E2BIG:
		return "the map is full";
	case EOPNOTSUPP:
		return "a sockmap takes TCP sockets that listen or are connected, and UDP sockets "
		       "that are bound";
	case EINVAL:
	case enotsupp:
		return array ? "the array takes listening TCP and bound UDP sockets with "
			       "SO_REUSEPORT"
			     : "";
	case EBUSY:
		return array ? "the socket is in a map already"
			     : "the socket is in a reuseport_sockarray already";
	case EPERM:
		return "the map is frozen or read-only";
	}
	return "";
}

static void update(const Options &o, const Fd &map, const struct bpf_map_info &info,
		   const std::vector<char> &key)
{
	Fd sock = find_socket(o);
	__u64 value = sock.get();
	__u32 value32 = sock.get();

	if (bpf_map_update_elem(map.get(), key.data(),
				info.value_size == sizeof(value) ? static_cast<void *>(&value)
								 : &value32,
				o.flags))
		fail(errno, "update map " + quote(o.map) + " at key " + quote(o.key),
		     why_update(errno, info));
	if (info.type != BPF_MAP_TYPE_REUSEPORT_SOCKARRAY)
		warn_of_sk_lookup(sock, o.netns);
	if (o.common.verbose)
		printf("key %s: socket with cookie %llx\n", o.key.c_str(), cookie_of(sock));
}

static void remove(const Options &o, const Fd &map, const std::vector<char> &key)
{
	std::string what = "delete from map " + quote(o.map) + " at key " + quote(o.key);

	if (bpf_map_delete_elem(map.get(), key.data()) == 0) {
		if (o.common.verbose)
			printf("key %s: emptied\n", o.key.c_str());
		return;
	}
	// A sockmap says EINVAL of an empty slot, the others ENOENT.
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
	std::vector<char> key = parse_key(o.key, info);

	if (o.remove) {
		remove(o, map, key);
		return 0;
	}
	if (!o.netns.empty())
		enter_netns(open_netns(o.netns), o.netns);
	update(o, map, info, key);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("sockmap-update", sockmap_update, argc, argv);
}
