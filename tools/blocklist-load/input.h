// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The FILEs: read, and refused where they are not what a list looks like.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "../lib/list.h"
#include "ranges.h"

// What is taken for a list.
struct Limits {
	bool skip_bad = false;		  // else a bad line is an error
	unsigned max_bad = 50;		  // per cent of the lines of a FILE
	size_t max_entries = 10000000;	  // of all FILEs: memory is 8 bytes, or 32, for each
	bool allow_empty = false;	  // else a FILE without an entry is an error
	std::optional<ListFormat> format; // of each FILE; else its content says it
};

struct Input {
	List list;			 // sorted and merged
	size_t read = 0;		 // entries
	size_t bad = 0;			 // lines
	std::vector<ListFormat> formats; // of the FILEs
};

// Read the FILEs. Prints the bad lines. Fails where a limit is passed; `what` says what is being
// done, "load the lists into 'DIR'", and `outcome` what follows the reason: ", nothing is changed".
Input read_files(const std::vector<std::string> &paths, const Limits &limits,
		 const std::string &what, const char *outcome);
