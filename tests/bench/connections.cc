// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// connections serve PORT...: accept at all of these TCP ports, say hello, and wait until the
// other side has closed. A socket each for IPv4 and IPv6, and the same for UDP, which nobody reads:
// what comes there is counted by the kernel. Says "ready" first, and runs until it is killed.
// connections ask ADDR MS COUNT PORT...: connect to one port after the other, hear the hello,
// and close; until there were COUNT connections, or MS milliseconds are over. Prints how many
// were made, how many were refused, and the nanoseconds that it took.

#include <arpa/inet.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "../../tools/lib/cli.h"
#include "../../tools/lib/fd.h"

using Clock = std::chrono::steady_clock;

constexpr char hello[] = "hello";

// An IPv4 or IPv6 address, as the system calls want it.
struct Address {
	struct sockaddr_storage storage = {};
	socklen_t size = 0;

	const struct sockaddr *get() const
	{
		return reinterpret_cast<const struct sockaddr *>(&storage);
	}
};

static Address address_of(const std::string &addr, const char *port)
{
	__be16 number = htons(parse_number(port, "PORT", 1, 65535));
	Address address;
	auto *v4 = reinterpret_cast<struct sockaddr_in *>(&address.storage);
	auto *v6 = reinterpret_cast<struct sockaddr_in6 *>(&address.storage);

	if (inet_pton(AF_INET, addr.c_str(), &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = number;
		address.size = sizeof(*v4);
	} else if (inet_pton(AF_INET6, addr.c_str(), &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = number;
		address.size = sizeof(*v6);
	} else {
		throw UsageError("no IP address: " + quote(addr));
	}
	return address;
}

static void set_option(const Fd &sock, int level, int option)
{
	int on = 1;

	if (setsockopt(sock.get(), level, option, &on, sizeof(on)))
		fail(errno, "set option " + std::to_string(option));
}

static Fd bound(const char *any, int type, const char *port)
{
	Address address = address_of(any, port);
	bool v6 = address.storage.ss_family == AF_INET6;
	Fd sock(socket(address.storage.ss_family, type | SOCK_NONBLOCK, 0));

	if (v6)
		set_option(sock, IPPROTO_IPV6, IPV6_V6ONLY);
	// nft's tproxy wants it. It changes nothing for what comes to our own addresses.
	set_option(sock, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT);
	if (bind(sock.get(), address.get(), address.size))
		fail(errno, "bind to port " + quote(port));
	return sock;
}

static void serve(int count, char **ports)
{
	std::vector<Fd> sockets;
	Fd epoll(epoll_create1(EPOLL_CLOEXEC));

	for (int i = 0; i < count; i++) {
		for (const char *any : {"0.0.0.0", "::"}) {
			Fd listener = bound(any, SOCK_STREAM, ports[i]);
			struct epoll_event event = {EPOLLIN, {}};
			event.data.fd = listener.get();

			if (listen(listener.get(), SOMAXCONN) ||
			    epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listener.get(), &event))
				fail(errno, "listen at port " + quote(ports[i]));
			sockets.push_back(std::move(listener));
			sockets.push_back(bound(any, SOCK_DGRAM, ports[i]));
		}
	}
	puts("ready");
	fflush(stdout);

	for (struct epoll_event event; epoll_wait(epoll.get(), &event, 1, -1) == 1;) {
		Fd connection(accept(event.data.fd, nullptr, nullptr));
		char end;

		if (!connection || send(connection.get(), hello, sizeof(hello), MSG_NOSIGNAL) < 0)
			continue;
		// The client is the one to close; it resets, so that no side has to remember.
		(void)recv(connection.get(), &end, 1, 0);
	}
	fail(errno, "wait for connections");
}

// Returns whether the connection was made, or refused.
static bool ask(const Address &address, const char *port)
{
	static constexpr struct linger reset = {1, 0};
	Fd connection(socket(address.storage.ss_family, SOCK_STREAM, 0));
	char heard[sizeof(hello)];

	if (connect(connection.get(), address.get(), address.size)) {
		if (errno == ECONNREFUSED || errno == EPERM)
			return false;
		fail(errno, "connect to port " + quote(port));
	}
	if (recv(connection.get(), heard, sizeof(heard), MSG_WAITALL) != sizeof(hello) ||
	    memcmp(heard, hello, sizeof(hello)) != 0)
		fail("hear a hello from port " + quote(port), "something else was said");
	setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return true;
}

static void ask_all(char *addr, char *ms, char *count, int ports, char **port)
{
	std::vector<Address> addresses;
	std::chrono::milliseconds time(parse_number(ms, "MS", 1, 60000));
	__u64 most = parse_number(count, "COUNT", 1, 1000000000);
	__u64 made = 0;
	__u64 refused = 0;

	addresses.reserve(ports);
	for (int i = 0; i < ports; i++)
		addresses.push_back(address_of(addr, port[i]));
	auto begin = Clock::now();
	while (made + refused < most && Clock::now() < begin + time)
		ask(addresses[(made + refused) % addresses.size()],
		    port[(made + refused) % addresses.size()])
			? made++
			: refused++;
	std::chrono::nanoseconds took = Clock::now() - begin;
	printf("%llu %llu %lld\n", made, refused, static_cast<long long>(took.count()));
}

static int connections(int argc, char **argv)
{
	std::string verb = argc > 1 ? argv[1] : "";

	if (verb == "serve" && argc > 2)
		serve(argc - 2, argv + 2);
	else if (verb == "ask" && argc > 5)
		ask_all(argv[2], argv[3], argv[4], argc - 5, argv + 5);
	else
		fail("read the arguments",
		     "they are not `serve PORT...` or `ask ADDR MS COUNT PORT...`");
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("connections", connections, argc, argv);
}
