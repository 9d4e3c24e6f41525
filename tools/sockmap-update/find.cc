// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "find.h"

#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "../lib/capability.h"
#include "../lib/cli.h"
#include "../lib/interface.h"
#include "../lib/object.h"
#include "process.h"
#include "socket.h"

constexpr int listen_fds_start = 3;	// SD_LISTEN_FDS_START of sd_listen_fds(3)
constexpr int listen_fds_max = 1048576; // fs.nr_open: no process has more

// ---- by address and by cookie: find a process that holds it, as ss(8) does, and copy it from
// there

// Is this the socket that was asked for? Its fd may be another one by now. Of an MPTCP socket, the
// kernel gives the cookie of its first TCP subflow, which has no fd, and the inode of the socket
// itself: that is the one that the user means, and can be told about.
static bool is_wanted(const Fd &sock, __u32 inode, __u64 cookie)
{
	struct stat st;

	if (cookie_of(sock) == cookie)
		return true;
	return socket_option(sock, SO_PROTOCOL) == protocol_mptcp && fstat(sock.get(), &st) == 0 &&
	       st.st_ino == inode;
}

static const char *const no_process = "no process holds it";

// /proc/PID/fd of others can be listed with the one, and its links read with the other.
static std::string none_of_yours()
{
	std::string missing =
		missing_capabilities({CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE}, CountsFor::Owner);

	if (missing.empty())
		return no_process;
	return "none of your processes holds it (to look into others needs " + missing + ")";
}

static Fd socket_by_inode(__u32 inode, __u64 cookie, const std::string &what)
{
	std::string name = "socket:[" + std::to_string(inode) + "]";
	std::string reason;
	bool denied = false;

	for (const std::string &pid : numbers_in("/proc", denied)) {
		std::string fds = "/proc/" + pid + "/fd";

		for (const std::string &fd : numbers_in(fds, denied)) {
			if (file_of(fds, fd, denied) != name)
				continue;
			try {
				Fd sock = socket_of_process(
					static_cast<int>(parse_number(pid, "PID", 1, INT_MAX)),
					static_cast<int>(parse_number(fd, "FD", 0, INT_MAX)));
				if (is_wanted(sock, inode, cookie))
					return sock;
			} catch (const std::runtime_error &e) {
				reason = e.what(); // another process may hold it, too
			}
		}
	}
	if (reason.empty())
		reason = denied ? none_of_yours() : no_process;
	fail(what, reason);
}

static Fd open_sock_diag()
{
	Fd netlink(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));

	if (!netlink)
		fail(errno, "open a sock_diag netlink socket");
	return netlink;
}

// Call `each` with the message on each socket of one protocol and family whose state is in
// `states`, a bit each, in the network namespace of `netlink`.
template <typename Each>
static void dump_sockets(const Fd &netlink, int family, int protocol, __u32 states, Each each)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
		struct nlattr attribute;
		__u32 protocol; // of any size, since Linux 5.9; that in the request has 8 bits
	} message = {};
	alignas(struct nlmsghdr) std::array<char, 32768> buffer;

	message.header.nlmsg_len = sizeof(message);
	message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	message.request.sdiag_family = family;
	message.request.sdiag_protocol = protocol > UINT8_MAX ? 0 : protocol;
	message.attribute.nla_len = NLA_HDRLEN + sizeof(message.protocol);
	message.attribute.nla_type = INET_DIAG_REQ_PROTOCOL;
	message.protocol = protocol;
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
				if (protocol == protocol_mptcp)
					return; // the kernel lacks mptcp_diag: nothing is lost
				fail(-e->error, "read the sockets of the network namespace",
				     e->error == -ENOENT ? "the kernel lacks tcp_diag or udp_diag"
							 : "");
			}
			each(*header, *static_cast<struct inet_diag_msg *>(NLMSG_DATA(header)));
		}
	}
}

static __u64 cookie_of(const struct inet_diag_msg &m)
{
	return m.id.idiag_cookie[0] | static_cast<__u64>(m.id.idiag_cookie[1]) << 32;
}

// Does an IPv6 socket take IPv6 alone? The attribute is behind the message.
static bool is_v6only(const struct nlmsghdr &header, const struct inet_diag_msg &m)
{
	constexpr size_t fixed = NLMSG_SPACE(sizeof(m));
	const auto *attribute = reinterpret_cast<const struct rtattr *>(
		reinterpret_cast<const char *>(&header) + fixed);
	size_t size = header.nlmsg_len > fixed ? header.nlmsg_len - fixed : 0;

	for (; RTA_OK(attribute, size); attribute = RTA_NEXT(attribute, size))
		if (attribute->rta_type == INET_DIAG_SKV6ONLY)
			return *static_cast<const __u8 *>(RTA_DATA(attribute));
	return false;
}

struct Found {
	__u32 inode;
	__u64 cookie;
	bool is_exact; // ss(8) prints the address just so
};

// The sockets with this address and port. A device that is not given may be any, and [::] may be
// what ss(8) prints as *.
static std::vector<Found> sockets_at(const LocalAddress &local)
{
	// A UDP socket that is not connected has the state of a closed one.
	__u32 states = local.protocol == IPPROTO_TCP ? 1 << TCP_LISTEN : 1 << TCP_CLOSE;
	size_t address_size = local.family == AF_INET ? 4 : 16;
	bool is_any = local.family == AF_INET6 && local.address == LocalAddress().address;
	__u32 device = local.device.empty() ? 0 : find_interface(local.device).index;
	std::vector<Found> found;

	dump_sockets(open_sock_diag(), local.family, local.protocol, states,
		     [&](const struct nlmsghdr &header, const struct inet_diag_msg &m) {
			     if (m.id.idiag_sport != local.port ||
				 memcmp(m.id.idiag_src, local.address.data(), address_size) != 0)
				     return;
			     bool dual_stack = is_any && !is_v6only(header, m);
			     if ((device && m.id.idiag_if != device) ||
				 (local.dual_stack && !dual_stack))
				     return;
			     found.push_back(
				     {m.idiag_inode, cookie_of(m),
				      m.id.idiag_if == device && dual_stack == local.dual_stack});
		     });
	return found;
}

std::vector<Fd> sockets_by_address(const LocalAddress &local, bool all)
{
	std::string what = "find socket " + quote(local.text);
	std::vector<Found> found = sockets_at(local);
	std::vector<Fd> sockets;
	std::string cookies;

	if (found.empty())
		fail(what, local.protocol == IPPROTO_TCP
				   ? "no socket listens on this address"
				   : "no unconnected socket is bound to this address");
	if (std::ranges::any_of(found, &Found::is_exact))
		std::erase_if(found, [](const Found &f) { return !f.is_exact; });
	std::ranges::sort(found, {}, &Found::cookie);
	for (const Found &f : found)
		cookies += (cookies.empty() ? "" : ", ") + cookie_text(f.cookie);
	if (found.size() > 1 && !all)
		fail(what, "several sockets have this address: choose one by --cookie, or --all: " +
				   cookies);
	sockets.reserve(found.size());
	for (const Found &f : found)
		sockets.push_back(socket_by_inode(f.inode, f.cookie, what));
	return sockets;
}

Fd socket_by_cookie(__u64 cookie)
{
	std::string what = "find socket with cookie " + cookie_text(cookie);
	Fd netlink = open_sock_diag();
	std::optional<__u32> inode;

	for (int family : {AF_INET, AF_INET6})
		for (int protocol :
		     {static_cast<int>(IPPROTO_TCP), static_cast<int>(IPPROTO_UDP), protocol_mptcp})
			if (!inode)
				dump_sockets(netlink, family, protocol, UINT32_MAX,
					     [&](const struct nlmsghdr &,
						 const struct inet_diag_msg &m) {
						     if (cookie_of(m) == cookie)
							     inode = m.idiag_inode;
					     });
	if (!inode)
		fail(what, "no TCP or UDP socket of this network namespace has it");
	return socket_by_inode(*inode, cookie, what);
}

// ---- passed by systemd

std::vector<Fd> sockets_passed(const std::string &which, bool all)
{
	std::string what = "find passed socket" + (which.empty() ? "" : " " + quote(which));
	const char *pid = getenv("LISTEN_PID");
	const char *count_text = getenv("LISTEN_FDS");
	const char *names_text = getenv("LISTEN_FDNAMES");
	std::vector<int> matches;
	std::vector<Fd> sockets;

	if (!pid || !count_text || pid != std::to_string(getpid()))
		fail(what, "no socket was passed to this process (LISTEN_PID, LISTEN_FDS)");
	int count = static_cast<int>(parse_number(count_text, "LISTEN_FDS", 0, listen_fds_max));
	std::string names = names_text ? names_text : "";

	for (int i = 0; i < count; i++) {
		size_t colon = names.find(':');
		std::string name = names.substr(0, colon);

		names = colon == std::string::npos ? "" : names.substr(colon + 1);
		if (which.empty() || (is_digits(which) ? std::to_string(i) : name) == which)
			matches.push_back(listen_fds_start + i);
	}
	if (matches.empty())
		fail(what, "not among the " + std::to_string(count) + " sockets passed");
	if (matches.size() > 1 && !all)
		fail(what, "several sockets match: choose one by INDEX, 0 to " +
				   std::to_string(count - 1) + ", or --all");

	for (int fd : matches) {
		Fd sock(fcntl(fd, F_DUPFD_CLOEXEC, 0));

		if (!sock)
			fail(errno, what);
		if (!is_socket(sock))
			fail(what, "not a socket");
		sockets.push_back(std::move(sock));
	}
	return sockets;
}
