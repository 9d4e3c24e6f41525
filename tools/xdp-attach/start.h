// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Where an XDP program starts to read a packet, and where the packets of an interface start.
#pragma once

#include <string>

#include "../lib/fd.h"
#include "../lib/interface.h"

// Fail where the program starts at Ethernet and the packets of the interface do not, or the
// other way round: it would read one header for another, and filter nothing. A program starts
// at the IP header if its variable `const volatile bool l3` is true, else at Ethernet. `what`
// is what the message says was being done. Warns where this is not known, for want of
// CAP_SYS_ADMIN, and the interface is an Ethernet one.
void check_start(const Interface &interface, const Fd &prog, const std::string &what);
