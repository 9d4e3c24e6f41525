// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The global variables of a program: a map that is their section (.data, .bss, .rodata). They are
// shown and set by name, NAME or a part of it, NAME.member[2].
#pragma once

#include <string>
#include <vector>

#include "map.h"
#include "print.h"

// Print all variables, NAME=VALUE, in the order in which they are in memory.
void show_variables(const OpenMap &map, const Format &format);

// Print the value of NAME; as JSON, the name too.
void get_variable(const OpenMap &map, const std::string &name, const Format &format);

// Set variables, NAME[=VALUE]: those alone, as a running program may change the others. Throws
// UsageError.
void set_variables(const OpenMap &map, const std::vector<std::string> &args,
		   const DirectoryLock &lock);

// The same of a list, one a line, and print what was changed, or with `dry_run` would be.
void load_variables(const OpenMap &map, const std::string &path, bool dry_run,
		    const DirectoryLock &lock, const Format &format);
