// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// One line of a list of JSON objects: {"cidr":"192.0.2.0/24","sblid":"SBL1","rir":"arin"}
#pragma once

#include <optional>
#include <string>
#include <string_view>

// The members that count.
struct ListedObject {
	std::optional<std::string> cidr;
	std::optional<std::string> type;
	std::optional<size_t> records;
	bool is_odd = false; // one of them is there twice, or is no string, or no number
};

// Read the line, or nothing where it is not a JSON object.
std::optional<ListedObject> read_listed_object(std::string_view line);
