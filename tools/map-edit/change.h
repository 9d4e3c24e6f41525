// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What is to be changed in a map, and how: all of it, or nothing.
#pragma once

#include <linux/types.h>

#include <string>
#include <vector>

#include "entries.h"
#include "map.h"

// Entries by their numbers, sorted.
struct Change {
	std::vector<__u32> added;   // of the wanted entries
	std::vector<__u32> changed; // of the wanted entries
	std::vector<__u32> removed; // of those that are there
	bool remove_first = false;  // the map does not hold both

	bool empty() const
	{
		return added.empty() && changed.empty() && removed.empty();
	}
};

// The change from the entries that are there to the wanted ones; with `exactly`, all others are
// removed. Both are sorted.
Change difference(const OpenMap &map, const Entries &now, const Entries &wanted, bool exactly);

// Add a zero for each entry of an array that is not wanted: it cannot be removed.
void want_zeros(const OpenMap &map, const Entries &now, Entries &wanted);

// Fail if the wanted entries are more than so many per cent fewer than those that are there.
void check_shrink(const OpenMap &map, const Entries &now, const Entries &wanted,
		  unsigned max_percent, const std::string &what);

// Fail if the map is too small. `what` says what is being done.
void check_room(const OpenMap &map, const Entries &now, const Entries &wanted, Change &change,
		const std::string &what);

// Change the map. Where that fails half-way, undo it, and fail. Prints its progress.
void apply(const OpenMap &map, const Entries &now, const Entries &wanted, const Change &change,
	   const std::string &what);

// Why a change of the map may have failed with this errno, or "".
const char *why_not(const OpenMap &map, int err);
