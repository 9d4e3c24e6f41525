// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// One tool at a time changes what is pinned in a directory.
#pragma once

#include <string>

#include "fd.h"

// How long a tool waits for others, in seconds.
constexpr unsigned default_wait = 30;
constexpr unsigned longest_wait = 86400;

// The lock on the directory of a pin, flock(2), from take() to the end of the scope. If the tool is
// killed, the kernel unlocks it.
class DirectoryLock
{
public:
	// take() does nothing.
	DirectoryLock() = default;

	// Open the directory that has the pin, or that has what a symbolic link leads to. Where it
	// is not there, or the user may not read it, take() does nothing.
	DirectoryLock(const std::string &pin, unsigned wait);

	// Wait until nobody else has it, at most so many seconds. Then fail, and say who has it.
	void take() const;

private:
	std::string path_;
	Fd dir_;
	unsigned wait_ = 0;
};
