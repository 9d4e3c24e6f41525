// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// connections serve PORT...: accept at all of these TCP ports, say hello, and wait until the
// other side has closed. One socket a port; says "ready" first, and runs until it is killed.
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

static struct sockaddr_in address_of(const char *addr, const char *port)
{
	struct sockaddr_in address = {};

	address.sin_family = AF_INET;
	address.sin_port = htons(parse_number(port, "PORT", 1, 65535));
	if (inet_pton(AF_INET, addr, &address.sin_addr) != 1)
		throw UsageError("no IPv4 address: " + quote(addr));
	return address;
}

static const struct sockaddr *generic(const struct sockaddr_in &address)
{
	return reinterpret_cast<const struct sockaddr *>(&address);
}

static void serve(int count, char **ports)
{
	std::vector<Fd> listeners;
	Fd epoll(epoll_create1(EPOLL_CLOEXEC));

	for (int i = 0; i < count; i++) {
		struct sockaddr_in address = address_of("0.0.0.0", ports[i]);
		Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
		struct epoll_event event = {EPOLLIN, {}};
		event.data.fd = listener.get();

		// nft's tproxy wants it. It changes nothing for what comes to our own addresses.
		int on = 1;
		if (setsockopt(listener.get(), IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)))
			fail(errno, "set IP_TRANSPARENT");
		if (bind(listener.get(), generic(address), sizeof(address)) ||
		    listen(listener.get(), SOMAXCONN) ||
		    epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listener.get(), &event))
			fail(errno, "listen at port " + quote(ports[i]));
		listeners.push_back(std::move(listener));
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
static bool ask(const struct sockaddr_in &address)
{
	static constexpr struct linger reset = {1, 0};
	Fd connection(socket(AF_INET, SOCK_STREAM, 0));
	char heard[sizeof(hello)];

	if (connect(connection.get(), generic(address), sizeof(address))) {
		if (errno == ECONNREFUSED || errno == EPERM)
			return false;
		fail(errno, "connect to port " + std::to_string(ntohs(address.sin_port)));
	}
	if (recv(connection.get(), heard, sizeof(heard), MSG_WAITALL) != sizeof(hello) ||
	    memcmp(heard, hello, sizeof(hello)) != 0)
		fail("hear a hello from port " + std::to_string(ntohs(address.sin_port)),
		     "something else was said");
	setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return true;
}

static void ask_all(char *addr, char *ms, char *count, int ports, char **port)
{
	std::vector<struct sockaddr_in> addresses;
	std::chrono::milliseconds time(parse_number(ms, "MS", 1, 60000));
	__u64 most = parse_number(count, "COUNT", 1, 1000000000);
	__u64 made = 0;
	__u64 refused = 0;

	addresses.reserve(ports);
	for (int i = 0; i < ports; i++)
		addresses.push_back(address_of(addr, port[i]));
	auto begin = Clock::now();
	while (made + refused < most && Clock::now() < begin + time)
		ask(addresses[(made + refused) % addresses.size()]) ? made++ : refused++;
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
