// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What `ipset save` prints:
//
//   create bad hash:net family inet hashsize 1024 maxelem 65536 comment
//   add bad 192.0.2.0/24 timeout 599 comment "x # y"
#include <charconv>

#include "list.h"
#include "scan.h"

// Take the next word, or the text in double quotes, which no word has.
static std::string_view take(std::string_view &text)
{
	text.remove_prefix(std::min(text.find_first_not_of(" \t\r"), text.size()));
	bool quoted = text.starts_with('"');
	size_t end = quoted ? text.find('"', 1) : text.find_first_of(" \t\r");
	std::string_view taken = text.substr(0, quoted && end != text.npos ? end + 1 : end);

	text.remove_prefix(taken.size());
	return taken;
}

// The next word that does not only say what to do with a set that exists.
static std::string_view take_name(std::string_view &text)
{
	std::string_view name;

	do
		name = take(text);
	while (name == "-exist" || name == "-!");
	return name;
}

void IpsetReader::check_set(std::string_view name)
{
	if (set_.empty())
		set_ = name;
	if (set_ != name)
		throw ValueError("it is of a second set, " + excerpt(name) +
				 ": save one alone, by 'ipset save " + set_ + "'");
}

void IpsetReader::create(std::string_view text)
{
	check_set(take_name(text));
	std::string_view type = take(text);

	if (type != "hash:ip" && type != "hash:net" && type != "bitmap:ip")
		why_refused_ = "a set of type " + excerpt(type) +
			       " does not have addresses or networks alone";
	for (std::string_view option; !(option = take(text)).empty();) {
		if (option == "bitmask")
			why_refused_ = "a set with a bitmask has more than networks";
		if (option != "netmask")
			continue;
		std::string_view bits = take(text);
		auto [end, error] = std::from_chars(bits.begin(), bits.end(), netmask_);
		if (error != std::errc() || end != bits.end() || !netmask_ || netmask_ > 128)
			why_refused_ = "netmask " + excerpt(bits) + " is not 1 to 128";
	}
	if (!why_refused_.empty())
		throw ValueError(why_refused_);
}

bool IpsetReader::parse(std::string_view line, Family family, ListedRange &range)
{
	std::string_view command = take(line);

	if (command == "create") {
		create(line);
		return false;
	}
	if (command != "add")
		throw ValueError(excerpt(command) + " is not create or add");
	check_set(take_name(line));
	if (!why_refused_.empty())
		throw ValueError(why_refused_);
	std::string_view entry = take(line);
	for (std::string_view option; !(option = take(line)).empty();)
		if (option == "nomatch")
			throw ValueError(excerpt(entry) +
					 " is an exception (nomatch), which a list cannot have");
	std::string_view rest = entry;
	range = read_listed(rest, family);
	if (!rest.empty())
		throw ValueError("unexpected text after the address: " + excerpt(rest));
	__u32 bits = range.is_ip4 ? 32 : 128;
	if (netmask_ && netmask_ <= bits) {
		Ip6Number host = netmask_ < bits ? (Ip6Number{1} << (bits - netmask_)) - 1 : 0;

		range.first &= ~host;
		range.last |= host;
	}
	return true;
}
