// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Sockets of other processes, by what /proc shows.
#pragma once

#include <string>
#include <vector>

#include "../lib/fd.h"

bool is_socket(const Fd &fd);

// The socket that is file descriptor `fd` of process `pid`. Fails where there is none, or where it
// may not be copied.
Fd socket_of_process(int pid, int fd);

// The directory's entries that are numbers: of /proc the processes, of /proc/PID/fd its file
// descriptors. None where there is no such directory; `denied` is set where it may not be read.
std::vector<std::string> numbers_in(const std::string &path, bool &denied);

// What this link in a directory /proc/PID/fd says, as "socket:[7]"; "" where it is gone, or may not
// be read: then `denied` is set.
std::string file_of(const std::string &fds, const std::string &fd, bool &denied);
