// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "list.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "address.h"
#include "cli.h"
#include "list_json.h"
#include "scan.h"

constexpr std::string_view blanks = " \t\r";
constexpr std::array<const char *, 5> names = {"plain", "json", "p2p", "dshield", "ipset"};

const char *format_name(ListFormat format)
{
	return names[static_cast<size_t>(format)];
}

ListFormat parse_format(const std::string &name)
{
	auto at = std::find(names.begin(), names.end(), name);

	if (at == names.end())
		throw UsageError("unknown format " + quote(name) +
				 " (expected plain, json, p2p, dshield, ipset)");
	return static_cast<ListFormat>(at - names.begin());
}

static std::string_view without_blanks(std::string_view text)
{
	text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
	return text.substr(0, text.find_last_not_of(blanks) + 1);
}

// All of the text is an entry.
ListedRange ListParser::parse_whole(std::string_view text) const
{
	ListedRange range = read_listed(text, family_);

	if (!text.empty())
		throw ValueError("unexpected text after the address: " + excerpt(text));
	return range;
}

// ---- json

// Spamhaus ends a list by {"type":"metadata","records":1406,...}: a list with fewer was cut.
bool ListParser::parse_json(std::string_view line, ListedRange &range)
{
	std::optional<ListedObject> object = read_listed_object(line);

	if (!object)
		throw ValueError(excerpt(line) + " is not a JSON object");
	if (object->cidr)
		records_++;
	if (object->is_odd)
		throw ValueError(excerpt(line) + " has a member twice, or one of another type");
	if (object->cidr) {
		range = parse_whole(*object->cidr);
		return true;
	}
	if (object->type != "metadata")
		throw ValueError("the object has no member 'cidr'");
	if (object->records && *object->records != records_)
		throw ValueError("the list has " + std::to_string(records_) +
				 " entries, and should have " + std::to_string(*object->records));
	return false;
}

// ---- p2p

// Where the range begins in NAME:FIRST-LAST; npos where the line is not like this. The name may
// have any characters.
static size_t p2p_range(std::string_view line)
{
	size_t dash = line.rfind('-');
	size_t colon = dash == std::string_view::npos ? dash : line.rfind(':', dash);

	return colon == std::string_view::npos ? colon : colon + 1;
}

ListedRange ListParser::parse_p2p(std::string_view line) const
{
	size_t at = p2p_range(line);
	std::string_view range = line.substr(std::min(at, line.size()));

	if (at == std::string_view::npos || range.find(':') != std::string_view::npos)
		throw ValueError(excerpt(line) + " is not NAME:FIRST-LAST, of IPv4");
	return parse_whole(without_blanks(range));
}

static bool looks_like_p2p(std::string_view line)
{
	size_t at = p2p_range(line);
	std::array<unsigned char, 16> address;

	if (at == std::string_view::npos)
		return false;
	std::string_view range = without_blanks(line.substr(at));
	if (scan_address(range, address) != 4)
		return false;
	range = without_blanks(range);
	if (!skip(range, '-'))
		return false;
	range = without_blanks(range);
	return scan_address(range, address) == 4 && range.empty();
}

// ---- dshield

static std::string_view take_field(std::string_view &line)
{
	std::string_view field = line.substr(0, line.find('\t'));

	line.remove_prefix(std::min(field.size() + 1, line.size()));
	return without_blanks(field);
}

static bool is_headline(std::string_view line)
{
	constexpr std::string_view start = "start\t";

	return line.size() > start.size() &&
	       std::equal(start.begin(), start.end(), line.begin(),
			  [](char a, unsigned char b) { return a == std::tolower(b); });
}

bool ListParser::parse_dshield(std::string_view line, ListedRange &range) const
{
	if (is_headline(line))
		return false;
	std::string_view first = take_field(line);
	std::string_view last = take_field(line);
	std::string_view bits = take_field(line);
	if (last.empty() || bits.empty())
		throw ValueError(excerpt(first) +
				 " is not followed by an end and a length, after tabs");
	range = parse_whole(std::string(first) + '-' + std::string(last));
	ListedRange network = parse_whole(std::string(first) + '/' + std::string(bits));
	if (network.last != range.last)
		throw ValueError(excerpt(first) + " to " + excerpt(last) + " is not a /" +
				 std::string(bits));
	return true;
}

static bool looks_like_dshield(std::string_view line)
{
	std::array<unsigned char, 16> address;
	std::string_view first = take_field(line);
	std::string_view last = take_field(line);

	return scan_address(first, address) == 4 && first.empty() &&
	       scan_address(last, address) == 4 && last.empty() && !take_field(line).empty();
}

// ---- any format

// What follows an entry of the plain format, where that is no comment.
static std::string_view behind_entry(std::string_view text)
{
	if (text.empty())
		return text;
	text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
	return text.starts_with('#') || text.starts_with(';') ? "" : text;
}

static bool is_plain(std::string_view line)
{
	try {
		read_listed(line, Family::Any);
		return behind_entry(line).empty();
	} catch (const ValueError &) {
		return false;
	}
}

static ListFormat find_format(std::string_view line)
{
	std::string_view text = line;

	if (skip(text, '{') && without_blanks(text).starts_with('"'))
		return ListFormat::Json;
	if (line.starts_with("create ") || line.starts_with("add "))
		return ListFormat::Ipset;
	if (is_headline(line) || looks_like_dshield(line))
		return ListFormat::Dshield;
	// A name may be anything, and a comment may look like such a line.
	return looks_like_p2p(line) && !is_plain(line) ? ListFormat::P2p : ListFormat::Plain;
}

bool ListParser::parse(std::string_view line, ListedRange &range, std::string_view &rest)
{
	if (!is_sure_) {
		format_ = find_format(line);
		is_sure_ = format_ != ListFormat::Plain;
	}
	rest = {};
	switch (format_) {
	case ListFormat::Plain:
		range = read_listed(line, family_);
		is_sure_ = true;
		rest = behind_entry(line);
		break;
	case ListFormat::Json:
		return parse_json(line, range);
	case ListFormat::P2p:
		range = parse_p2p(line);
		break;
	case ListFormat::Dshield:
		return parse_dshield(line, range);
	case ListFormat::Ipset:
		return ipset_.parse(line, family_, range);
	}
	return true;
}
