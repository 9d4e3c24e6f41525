// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the kernel says of a socket: its cookie, its kind, its state.
#pragma once

#include <linux/types.h>

#include <optional>
#include <string>

#include "../lib/fd.h"

constexpr int protocol_smc = 256;   // IPPROTO_SMC, since Linux 6.11
constexpr int protocol_mptcp = 262; // IPPROTO_MPTCP, since Linux 5.6

// A socket's cookie, by which the kernel and `ss -e` identify it.
__u64 cookie_of(const Fd &sock);

// A number that the network namespace of the socket has alone; nothing where it cannot be had.
std::optional<__u64> netns_of(const Fd &sock);

// An option of SOL_SOCKET that is an int: SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN. -1 where the
// socket has no such option.
int socket_option(const Fd &sock, int option);

bool is_inet(const Fd &sock); // IPv4 or IPv6
bool is_connected(const Fd &sock);
bool is_bound(const Fd &sock);

// Do both have SO_REUSEPORT, and the same local address and port? Then the kernel spreads over them
// what it finds one of them for.
bool are_one_group(const Fd &a, const Fd &b);

// What the socket is, in the words of ss(8) and the kernel: "TCP, listening", "UDP, not bound",
// "raw IPv4", "unix stream, not connected".
std::string describe(const Fd &sock);

// The upper layer protocol of a TCP socket, as "tls"; or "".
std::string upper_layer_of(const Fd &sock);
