// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Network namespaces, named as `ip` names them.
#pragma once

#include <string>

#include "fd.h"

// Open the namespace called `which`: NAME (of `ip netns`), PID (of a process in it) or PATH (of
// a file, with a slash in it). Empty: our own.
Fd open_netns(const std::string &which);

// Move this process into it. Empty: stay where it is.
void enter_netns(const std::string &which);
