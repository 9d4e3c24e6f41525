// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The sockets to put into the map: another process's, by address or by cookie, or those that were
// passed to this process. Each function fails where there is none; and where there are several,
// unless `all` are wanted.
#pragma once

#include <linux/types.h>

#include <string>
#include <vector>

#include "../lib/fd.h"
#include "local_address.h"

// The TCP sockets that listen on this address, or the unconnected UDP sockets that are bound to it,
// in the network namespace of this process: those that ss(8) shows with this very address, if there
// are any. In the order of their cookies.
std::vector<Fd> sockets_by_address(const LocalAddress &local, bool all);

// The TCP or UDP socket with this cookie, in the network namespace of this process.
Fd socket_by_cookie(__u64 cookie);

// The sockets that systemd, or a program that follows sd_listen_fds(3), passed to this process:
// those with this name or this number from 0. Empty: any.
std::vector<Fd> sockets_passed(const std::string &which, bool all);
