// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The formats in which people publish lists of addresses, line by line:
//
//   plain     192.0.2.0/24, 2001:db8::/32, 192.0.2.1, 192.0.2.0-192.0.2.9,
//             192.0.2.0/255.255.255.0, 192.0.2.0 255.255.255.0
//   json      {"cidr":"192.0.2.0/24", ...}, as Spamhaus has it
//   p2p       NAME:192.0.2.0-192.0.2.255, as PeerGuardian has it
//   dshield   192.0.2.0<TAB>192.0.2.255<TAB>24<TAB>...
//   ipset     what `ipset save NAME` prints: create ..., add NAME 192.0.2.0/24 ...
#pragma once

#include <linux/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "range.h"

enum class ListFormat { Plain, Json, P2p, Dshield, Ipset };

const char *format_name(ListFormat format);

// The argument of --format. Throws UsageError.
ListFormat parse_format(const std::string &name);

// Which addresses a list is to have.
enum class Family { Any, Ip4, Ip6 };

// Read an entry in a form of the plain format at the front of `text`, and remove it. Blanks or a
// comment, or a '=', may follow. A v4-mapped range becomes IPv4, unless it is all of them: lists
// of bogons have ::ffff:0:0/96, which is not every IPv4 address. Throws ValueError; `family` is
// what the reason says that the text is not.
ListedRange read_listed(std::string_view &text, Family family);

// A set of ipset(8), line by line.
class IpsetReader
{
public:
	// Returns false for a line without an entry. Throws ValueError.
	bool parse(std::string_view line, Family family, ListedRange &range);

private:
	void create(std::string_view text);
	void check_set(std::string_view name);

	std::string set_;
	std::string why_refused_; // all entries of the set
	__u32 netmask_ = 0;	  // that each address of the set stands for; 0: none
};

// Reads the lines of a list. The first line with an entry says which format it has.
class ListParser
{
public:
	ListParser(std::optional<ListFormat> named, Family family)
	    : format_(named.value_or(ListFormat::Plain)), is_sure_(named.has_value()),
	      family_(family)
	{
	}

	// Read a line, which is neither blank nor a comment. Returns false where it has no entry,
	// such as a headline. `rest` is what follows the entry, without blanks and comments: it is
	// for the caller to refuse, and empty in all formats but the plain one. Throws ValueError.
	bool parse(std::string_view line, ListedRange &range, std::string_view &rest);

	ListFormat format() const
	{
		return format_;
	}

private:
	bool parse_json(std::string_view line, ListedRange &range);
	ListedRange parse_whole(std::string_view text) const;
	ListedRange parse_p2p(std::string_view line) const;
	bool parse_dshield(std::string_view line, ListedRange &range) const;

	ListFormat format_;
	bool is_sure_; // of the format
	Family family_;
	IpsetReader ipset_;
	size_t records_ = 0; // of JSON
};
