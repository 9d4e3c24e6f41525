// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// One tool at a time changes what is pinned in a directory.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "fd.h"

// How long a tool waits for others, in seconds.
constexpr unsigned default_wait = 30;
constexpr unsigned longest_wait = 86400;

// The SECONDS of --wait. Throws UsageError.
unsigned parse_wait(const char *text);

// The lock on a directory, flock(2), from take() to the end of the scope. If the tool is killed,
// the kernel unlocks it.
class DirectoryLock
{
public:
	// take() does nothing.
	DirectoryLock() = default;

	// Open the directory. Where it is not there, or the user may not read it, take() does
	// nothing.
	DirectoryLock(const std::string &dir, unsigned wait);

	// Can it be locked?
	explicit operator bool() const
	{
		return static_cast<bool>(dir_);
	}

	// Wait until nobody else has it, at most so many seconds. Then fail, and say who has it.
	void take() const;

	// Which directory it is: its device and inode; 0 and 0 where it could not be opened.
	std::pair<dev_t, ino_t> id() const;

private:
	std::string path_;
	Fd dir_;
	unsigned wait_ = 0;
};

// The directory that has the pin, or that has what a symbolic link leads to.
std::string directory_of(const std::string &pin);

// Lock directories in which pins are to be made or replaced, until the end of the scope. For one
// that is not there yet, it is the directory around. What is in them is to be looked at after this.
std::vector<DirectoryLock> lock_directories(const std::vector<std::string> &dirs, unsigned wait);
