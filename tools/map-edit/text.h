// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Keys and entries as the user writes them: KEY, FROM-TO, KEY=VALUE, lists.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../lib/lines.h"
#include "../lib/list.h"
#include "entries.h"
#include "map.h"

// FROM-TO, or a single KEY as a range of one.
struct KeyRange {
	std::vector<unsigned char> first;
	std::vector<unsigned char> last;

	bool is_single() const
	{
		return first == last;
	}
};

// The argument KEY. Throws UsageError.
std::vector<unsigned char> parse_key(const OpenMap &map, const std::string &arg);

// The arguments KEY or FROM-TO. Throws UsageError.
std::vector<KeyRange> parse_ranges(const OpenMap &map, const std::vector<std::string> &args);

// The arguments KEY[=VALUE] or FROM-TO[=VALUE], sorted. Throws UsageError.
Entries parse_entries(const OpenMap &map, const std::vector<std::string> &args);

// May lists for a map with such keys have any of the published formats?
bool takes_lists(const Type &key);

struct ListOptions {
	bool allow_empty = false; // else a list without an entry is an error
	bool keep_going = false;  // else a bad line is an error
	size_t bad = 0;		  // lines that were skipped: what has been found
	// Of the list; else its content says it, and then this is what has been found, if the map
	// takes_lists().
	std::optional<ListFormat> format;
};

// The same of a list, one a line. Prints the bad lines, and its progress. Fails if there is a bad
// line, unless it is to keep going, and if there is no entry; `what` says what is being done: "load
// 'FILE'".
Entries parse_list(const OpenMap &map, const std::string &path, ListOptions &options,
		   const std::string &what);

// Read [=VALUE] up to the end of `text`, or in a file up to a comment, to `out`. An omitted value
// is that of an entry. Throws ValueError.
void parse_assignment(const Type &type, std::string_view text, bool in_file,
		      std::span<unsigned char> out);

// The order of two keys: by their values, field by field, not by their bytes. An LPM key is
// ordered by its address first.
int compare_values(const Type &type, const unsigned char *a, const unsigned char *b);
