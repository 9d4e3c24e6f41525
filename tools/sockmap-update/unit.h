// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The sockets of a systemd unit.
#pragma once

#include <string>
#include <vector>

#include "../lib/fd.h"

// The TCP sockets that listen, and the unconnected UDP sockets that are bound, of the processes of
// this unit of the system's manager, by its control group; in the order of their cookies. Fails
// where there is none; and where there are several, unless `all` are wanted. Without a suffix it is
// a service.
std::vector<Fd> sockets_of_unit(const std::string &unit, bool all);
