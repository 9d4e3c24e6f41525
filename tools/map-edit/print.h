// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Entries and changes, as text or as JSON, on standard output.
#pragma once

#include <optional>

#include "../lib/list.h"
#include "change.h"
#include "entries.h"
#include "map.h"

struct Format {
	bool json = false;
	bool pretty = false;
	bool per_cpu = false; // the value of each CPU as well
};

// All entries, in the order of their keys.
void print_entries(const OpenMap &map, const Entries &entries, const Format &format);

// The value of one entry; as JSON, its key too. `values` are those of all CPUs.
void print_entry(const OpenMap &map, const unsigned char *key, const unsigned char *values,
		 const Format &format);

// How much a change is.
struct Summary {
	bool entries = false;		  // print each entry that changes
	bool removed = false;		  // print how many are removed
	std::optional<ListFormat> format; // of the list, if the map takes several
};
void print_change(const OpenMap &map, const Entries &now, const Entries &wanted,
		  const Change &change, Summary summary, const Format &format);

// The same as one line of text, "2 added, 0 changed".
std::string count_changes(const Change &change, bool removed);
