// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "text.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "../lib/address.h"
#include "../lib/cli.h"
#include "../lib/lines.h"
#include "../lib/lpm.h"
#include "../lib/value.h"
#include "progress.h"
#include "unmatched.h"

constexpr size_t line_max = size_t{1} << 24;	   // bytes: no value of a map takes as many
constexpr size_t progress_lines = size_t{1} << 14; // between two looks at the clock

using Kind = Type::Kind;

// ---- keys

static int compare_members(const Type &type, size_t first, const unsigned char *a,
			   const unsigned char *b)
{
	int order = 0;

	for (size_t i = first; i < type.members.size() && !order; i++) {
		const Type::Member &m = type.members[i];

		order = compare_values(m.type, a + m.offset, b + m.offset);
	}
	return order;
}

int compare_values(const Type &type, const unsigned char *a, const unsigned char *b)
{
	auto sign = [](auto x, auto y) { return x < y ? -1 : x > y; };
	bool is_signed = type.kind == Kind::Signed || type.is_signed;
	__u64 flip = is_signed ? __u64{1} << (value_bits(type) - 1) : 0;
	int order = 0;

	switch (type.kind) {
	case Kind::Struct:
		return compare_members(type, 0, a, b);
	case Kind::Array:
		for (size_t i = 0; i < type.count && !order; i++) {
			const Type &each = type.members[0].type;
			order = compare_values(each, a + i * each.size, b + i * each.size);
		}
		return order;
	case Kind::Unsigned:
	case Kind::Signed:
	case Kind::Bool:
	case Kind::Enum:
		return sign(integer(type, {a, type.size}) ^ flip,
			    integer(type, {b, type.size}) ^ flip);
	case Kind::Cidr4:
	case Kind::Cidr6:
		order = memcmp(a + 4, b + 4, type.size - 4);
		return order ? order : memcmp(a, b, 4);
	case Kind::Prefix:
		order = compare_members(type, 1, a, b);
		return order ? order : compare_values(type.members[0].type, a, b);
	default:
		return memcmp(a, b, type.size);
	}
}

static bool is_number(const Type &type)
{
	return type.kind == Kind::Unsigned || type.kind == Kind::Signed;
}

// Refuse a key that the kernel would refuse, or silently take for another one.
static void check_key(const OpenMap &map, std::vector<unsigned char> &key)
{
	if (has_index(map.info.type) && integer(map.key, key) >= map.info.max_entries)
		throw ValueError("index out of range (0-" +
				 std::to_string(map.info.max_entries - 1) + ")");
	if (map.info.type != BPF_MAP_TYPE_LPM_TRIE)
		return;
	__u32 longest = 8 * (map.info.key_size - 4);
	if (prefix_length(key) > longest)
		throw ValueError("the prefix length is above " + std::to_string(longest));
	if (clear_after_prefix(key))
		throw ValueError("bits after the prefix are set");
}

// Read KEY or FROM-TO at the front of `text`, and remove it.
static void parse_range(const OpenMap &map, std::string_view &text, KeyRange &range)
{
	range.first.resize(map.key.size);
	parse_front(map.key, text, range.first);
	check_key(map, range.first);
	range.last = range.first;
	if ((is_number(map.key) || map.key.kind == Kind::Be) && skip(text, '-')) {
		parse_front(map.key, text, range.last);
		if (compare_values(map.key, range.first.data(), range.last.data()) > 0)
			throw ValueError("the range ends before it begins");
		check_key(map, range.last);
	}
}

std::vector<unsigned char> parse_key(const OpenMap &map, const std::string &arg)
{
	std::vector<unsigned char> key(map.info.key_size);

	try {
		parse(map.key, arg, key);
		check_key(map, key);
	} catch (const ValueError &e) {
		throw UsageError("KEY " + quote(arg) + ": " + e.what());
	}
	return key;
}

std::vector<KeyRange> parse_ranges(const OpenMap &map, const std::vector<std::string> &args)
{
	std::vector<KeyRange> ranges;

	for (const std::string &arg : args) {
		try {
			std::string_view text = arg;

			parse_range(map, text, ranges.emplace_back());
			if (!text.empty())
				throw ValueError("unexpected text after the key: " + excerpt(text));
		} catch (const ValueError &e) {
			throw UsageError("KEY " + quote(arg) + ": " + e.what());
		}
	}
	return ranges;
}

// ---- entries

static void skip_blanks(std::string_view &text)
{
	text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

static void set_default(const Type &type, bool at_end, std::span<unsigned char> out)
{
	if (is_number(type) || type.kind == Kind::Bool)
		store(type, 1, out);
	else if (type.kind == Kind::Struct)
		std::fill(out.begin(), out.end(), 0);
	else if (at_end)
		throw ValueError("its value is missing: write KEY=VALUE");
}

void parse_assignment(const Type &type, std::string_view text, bool in_file,
		      std::span<unsigned char> out)
{
	skip_blanks(text);
	auto is_end = [&] {
		return text.empty() || (in_file && (text[0] == '#' || text[0] == ';'));
	};
	bool at_end = is_end();
	if (skip(text, '=')) {
		skip_blanks(text);
		parse_front(type, text, out, Missing::Zero);
		skip_blanks(text);
		at_end = is_end();
	} else {
		set_default(type, at_end, out);
	}
	if (!at_end)
		throw ValueError("unexpected text after the entry: " + excerpt(text));
}

// ---- entries of published lists

bool takes_lists(const Type &key)
{
	return key.kind == Kind::Cidr4 || key.kind == Kind::Cidr6 || is_address_field(key);
}

static bool is_ip4_key(const Type &key)
{
	return key.kind == Kind::Cidr4 || key.kind == Kind::Ip4;
}

static Family family_of(const Type &key)
{
	return is_ip4_key(key) ? Family::Ip4 : Family::Ip6;
}

template <typename Address> static void put_address(Address address, std::span<unsigned char> out)
{
	auto bytes = from_integer(address);

	std::copy(bytes.begin(), bytes.end(), out.begin());
}

// Call f() for each key of the range: the fewest prefixes, or each address. The key is put
// into `key`.
template <typename Address, typename Function>
static void each_key(const OpenMap &map, Address first, Address last,
		     std::vector<unsigned char> &key, Function f)
{
	if (!is_address_field(map.key)) {
		for_each_cidr(first, last, [&](Address address, int length) {
			__u32 bits = length;

			memcpy(key.data(), &bits, sizeof(bits));
			put_address(address, cidr_address(map.key, std::span(key)));
			f();
		});
		return;
	}
	if (last - first >= map.info.max_entries)
		throw ValueError("the range has more keys than the map can hold (" +
				 std::to_string(map.info.max_entries) + ")");
	for (Address address = first;; address++) {
		put_address(address, key);
		f();
		if (address == last)
			return;
	}
}

// Reads KEY[=VALUE] into entries.
class EntryParser
{
public:
	EntryParser(const OpenMap &map, std::optional<ListFormat> format)
	    : map_(map), why_unmatched_(find_unmatched_check(map)), entries_(map, map.value.size),
	      list_(format, family_of(map.key)), value_(map.value.size)
	{
	}

	// A line of a list in a published format. Returns false where it has no entry.
	bool parse_listed(std::string_view line)
	{
		std::string_view rest;
		ListedRange range;

		if (!list_.parse(line, range, rest))
			return false;
		if (!range.is_ip4 && is_ip4_key(map_.key))
			throw ValueError(quote_word(line) + " is not an IPv4 address or prefix");
		parse_assignment(map_.value, rest, true, value_);
		range_.first.assign(map_.key.size, 0);
		auto add = [this] {
			check_effect();
			entries_.add(range_.first.data(), value_.data());
		};
		Ip6Number base = range.is_ip4 ? v4_mapped_first : 0;
		if (is_ip4_key(map_.key))
			each_key(map_, static_cast<Ip4Number>(range.first),
				 static_cast<Ip4Number>(range.last), range_.first, add);
		else
			each_key(map_, base + range.first, base + range.last, range_.first, add);
		return true;
	}

	ListFormat format() const
	{
		return list_.format();
	}

	// In a file, a comment may follow.
	void parse(std::string_view text, bool in_file)
	{
		parse_range(map_, text, range_);
		skip_blanks(text);
		// Of a device or a CPU's queue nothing can be assumed.
		if (redirects(map_.info.type) && !text.starts_with('='))
			throw ValueError("its value is missing: write KEY=VALUE");
		parse_assignment(map_.value, text, in_file, value_);
		check_effect();
		check_target();
		if (range_.is_single())
			entries_.add(range_.first.data(), value_.data());
		else
			expand();
	}

	bool is_overfull() const
	{
		return entries_.is_overfull();
	}

	// All entries so far, sorted.
	Entries finish()
	{
		entries_.sort_unique();
		return std::move(entries_);
	}

private:
	// Refuse an entry that the kit's own program never matches. In a range of keys only the
	// value counts.
	void check_effect() const
	{
		const char *why = nullptr;

		if (why_unmatched_)
			why = why_unmatched_(range_.first.data(), value_.data());
		if (why)
			throw ValueError(std::string("it would have no effect: ") + why);
	}

	// A zero would delete the entry, or be refused.
	void check_target() const
	{
		__u32 target;

		if (!redirects(map_.info.type))
			return;
		memcpy(&target, value_.data(), sizeof(target));
		if (!target)
			throw ValueError(holds_devices(map_.info.type) ? "no device has ifindex 0"
								       : "qsize is 0");
	}

	void expand()
	{
		__u64 first = integer(map_.key, range_.first);
		__u64 more = (integer(map_.key, range_.last) - first) &
			     UINT64_MAX >> (64 - 8 * map_.key.size);

		if (more >= map_.info.max_entries)
			throw ValueError("the range has more keys than the map can hold (" +
					 std::to_string(map_.info.max_entries) + ")");
		for (__u64 i = 0; i <= more; i++) {
			store(map_.key, first + i, range_.first);
			entries_.add(range_.first.data(), value_.data());
		}
	}

	const OpenMap &map_;
	WhyUnmatched why_unmatched_;
	Entries entries_;
	ListParser list_;
	KeyRange range_; // these are members to be allocated only once
	std::vector<unsigned char> value_;
};

Entries parse_entries(const OpenMap &map, const std::vector<std::string> &args)
{
	EntryParser parser(map, {});

	for (const std::string &arg : args) {
		try {
			parser.parse(arg, false);
		} catch (const ValueError &e) {
			throw UsageError("KEY[=VALUE] " + quote(arg) + ": " + e.what());
		}
	}
	return parser.finish();
}

// The key with its fields, as show prints one whose prefix has host bits set: it is no JSON.
static bool is_struct(std::string_view line)
{
	if (!skip(line, '{'))
		return false;
	skip_blanks(line);
	return !line.starts_with('"');
}

Entries parse_list(const OpenMap &map, const std::string &path, ListOptions &options,
		   const std::string &what)
{
	bool is_list = takes_lists(map.key);
	Lines lines(path, is_list ? "#;" : "#", line_max);
	EntryParser parser(map, options.format);
	std::string_view line;
	Progress progress;
	size_t count = 0;
	size_t read = 0;

	while (lines.next(line)) {
		if (lines.is_cut()) // perhaps the file is not text at all, such as /dev/zero
			fail(lines.what(), "a line is longer than 16 MiB");
		if (++read % progress_lines == 0)
			progress.say("lines read:", lines.number());
		try {
			if (!is_list || is_struct(line)) {
				parser.parse(line, true);
				count++;
			} else if (parser.parse_listed(line)) {
				count++;
			}
		} catch (const ValueError &e) {
			progress.clear();
			lines.print_bad(e.what());
		}
		lines.check_bad(what, ", nothing is changed");
		if (parser.is_overfull())
			fail(what, "it has more entries than the map holds (" +
					   std::to_string(map.info.max_entries) +
					   "), nothing is changed");
	}
	options.bad = lines.bad();
	if (options.bad && (!options.keep_going || !count))
		fail(what, bad_lines(options.bad) + ", nothing is changed");
	if (!count && !options.allow_empty)
		fail(what, "it has no entry, nothing is changed (--allow-empty permits it)");
	if (is_list)
		options.format = parser.format();
	return parser.finish();
}
