// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "socket.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "../lib/cli.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 // include/uapi/asm-generic/socket.h, since Linux 5.14
#endif

__u64 cookie_of(const Fd &sock)
{
	__u64 cookie = 0;
	socklen_t size = sizeof(cookie);

	if (getsockopt(sock.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size))
		fail(errno, "query the cookie of the socket");
	return cookie;
}

std::optional<__u64> netns_of(const Fd &sock)
{
	__u64 cookie = 0;
	socklen_t size = sizeof(cookie);

	if (getsockopt(sock.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0)
		return cookie;
	if (errno != ENOPROTOOPT)
		return std::nullopt;
	// Before Linux 5.14, only an administrator can ask, and only for the namespace itself.
	Fd netns(ioctl(sock.get(), SIOCGSKNS));
	struct stat st;
	if (netns && fstat(netns.get(), &st) == 0)
		return st.st_ino;
	return std::nullopt;
}

int socket_option(const Fd &sock, int option)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(sock.get(), SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool is_inet(const Fd &sock)
{
	int domain = socket_option(sock, SO_DOMAIN);

	return domain == AF_INET || domain == AF_INET6;
}

bool is_connected(const Fd &sock)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);

	return getpeername(sock.get(), reinterpret_cast<struct sockaddr *>(&peer), &size) == 0;
}

// Its address and port; all zero where it has none.
static struct sockaddr_in6 local_address(const Fd &sock)
{
	struct sockaddr_in6 local = {};
	socklen_t size = sizeof(local);

	if (getsockname(sock.get(), reinterpret_cast<struct sockaddr *>(&local), &size))
		return {};
	return local;
}

bool is_bound(const Fd &sock)
{
	// The port lies at the same place in both.
	static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));

	return local_address(sock).sin6_port;
}

bool are_one_group(const Fd &a, const Fd &b)
{
	struct sockaddr_in6 at = local_address(a);
	struct sockaddr_in6 other = local_address(b);

	return socket_option(a, SO_REUSEPORT) == 1 && socket_option(b, SO_REUSEPORT) == 1 &&
	       memcmp(&at, &other, sizeof(at)) == 0;
}

// The name of an IPv4 or IPv6 socket that has a port, by its protocol; or nullptr.
static const char *protocol_name(int protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_UDPLITE:
		return "UDP-Lite";
	case IPPROTO_SCTP:
		return "SCTP";
	case IPPROTO_DCCP:
		return "DCCP";
	case protocol_mptcp:
		return "MPTCP";
	case protocol_smc:
		return "SMC";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "ping";
	}
	return nullptr;
}

static std::string domain_name(int domain)
{
	switch (domain) {
	case AF_INET:
		return "IPv4";
	case AF_INET6:
		return "IPv6";
	case AF_UNIX:
		return "unix";
	case AF_VSOCK:
		return "vsock";
	case AF_NETLINK:
		return "AF_NETLINK";
	case AF_PACKET:
		return "AF_PACKET";
	case AF_XDP:
		return "AF_XDP";
	case AF_ALG:
		return "AF_ALG";
	case AF_CAN:
		return "AF_CAN";
	case AF_BLUETOOTH:
		return "AF_BLUETOOTH";
	case AF_TIPC:
		return "AF_TIPC";
	case AF_KCM:
		return "AF_KCM";
	case AF_SMC:
		return "AF_SMC";
	}
	return "of address family " + std::to_string(domain);
}

static const char *type_name(int type)
{
	switch (type) {
	case SOCK_STREAM:
		return " stream";
	case SOCK_DGRAM:
		return " datagram";
	case SOCK_SEQPACKET:
		return " seqpacket";
	}
	return "";
}

static std::string describe_inet(const Fd &sock, int domain, int type)
{
	int protocol = socket_option(sock, SO_PROTOCOL);

	if (type == SOCK_RAW)
		return "raw " + domain_name(domain);
	const char *name = protocol_name(protocol);
	std::string text =
		name ? name : domain_name(domain) + " of protocol " + std::to_string(protocol);
	if (socket_option(sock, SO_ACCEPTCONN) == 1)
		return text + ", listening";
	if (is_connected(sock))
		return text + ", connected";
	if (type != SOCK_DGRAM)
		return text + ", neither listening nor connected";
	return text + (is_bound(sock) ? ", bound" : ", not bound");
}

std::string describe(const Fd &sock)
{
	int domain = socket_option(sock, SO_DOMAIN);
	int type = socket_option(sock, SO_TYPE);

	if (is_inet(sock))
		return describe_inet(sock, domain, type);
	if (domain != AF_UNIX && domain != AF_VSOCK)
		return domain_name(domain);
	return domain_name(domain) + type_name(type) +
	       (is_connected(sock) ? ", connected" : ", not connected");
}

std::string upper_layer_of(const Fd &sock)
{
	std::array<char, 16> name{}; // TCP_ULP_NAME_MAX of the kernel
	socklen_t size = name.size() - 1;

	if (getsockopt(sock.get(), IPPROTO_TCP, TCP_ULP, name.data(), &size))
		return {};
	return name.data();
}
