// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The socket to put into the map: another process's, found in one of three ways, or one that was
// passed to this process. Each function fails where there is not exactly one.
#pragma once

#include <linux/types.h>

#include <string>

#include "../lib/fd.h"
#include "local_address.h"

// The socket that is file descriptor `fd` of process `pid`.
Fd socket_of_process(int pid, int fd);

// The TCP socket that listens on this address, or the unconnected UDP socket that is bound to it,
// in the network namespace of this process. Where there are several, it is the one that ss(8)
// shows with this very address.
Fd socket_by_address(const LocalAddress &local);

// The TCP or UDP socket with this cookie, in the network namespace of this process.
Fd socket_by_cookie(__u64 cookie);

// The socket that systemd, or a program that follows sd_listen_fds(3), passed to this process: the
// one with this name or this number from 0. Empty: the only one.
Fd socket_passed(const std::string &which);
