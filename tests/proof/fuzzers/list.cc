// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Lists, in each format. The first byte says which format is named, if any, and which family.
#include "../../../tools/lib/list.h"

#include <vector>

#include "../../../tools/lib/address.h"
#include "../../../tools/lib/lines.h"
#include "fuzz.h"

template <typename Number> static void check_cidrs(const ListedRange &range)
{
	Number at = static_cast<Number>(range.first);
	auto last = static_cast<Number>(range.last);
	bool is_whole = false;

	// The CIDRs follow each other, from the first to the last address, and each is read back.
	for_each_cidr(at, last, [&](Number first, int length) {
		check(!is_whole && first == at, "a CIDR does not follow the one before it");
		std::string text;
		append_cidr(text, from_integer(first), length);
		std::string_view rest = text;
		ListedRange back = read_listed(rest, Family::Any);
		auto back_last = static_cast<Number>(back.last);
		// A v4-mapped one becomes IPv4.
		if (back.is_ip4 == range.is_ip4) {
			check(rest.empty() && back.first == first, "another CIDR: " + text);
			is_whole = back_last == last;
			at = back_last + 1;
			return;
		}
		Number host =
			length ? (Number{1} << (8 * sizeof(Number) - length)) - 1 : ~Number{0};
		is_whole = first + host == last;
		at = first + host + 1;
	});
	check(is_whole, "the CIDRs are not the range");
}

static void check_range(const ListedRange &range)
{
	check(range.first <= range.last, "a range ends before it begins");
	if (range.is_ip4) {
		check(!(range.last >> 32), "IPv4 is above 2^32");
		check_cidrs<Ip4Number>(range);
	} else {
		check_cidrs<Ip6Number>(range);
	}
}

// What a parser says of each line, and its format at the end.
static std::string read_list(std::string_view text, std::optional<ListFormat> format, Family family)
{
	ListParser parser(format, family);
	MemoryFile file(text);
	Lines lines(file.path(), "#;", 4096);
	std::string_view line;
	std::string said;

	while (lines.next(line)) {
		ListedRange range = {};
		std::string_view rest = "?";

		try {
			bool has_entry = parser.parse(line, range, rest);
			check(rest.empty() || parser.format() == ListFormat::Plain,
			      "text is left of another format than plain");
			if (has_entry)
				check_range(range);
			said += has_entry ? 'e' : '-';
		} catch (const ValueError &e) {
			check(*e.what(), "no reason");
			said += '!';
		}
	}
	check(!format || parser.format() == *format, "another format than the named one");
	return said + format_name(parser.format());
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	std::string_view input = as_text(data, size);
	uint8_t what = take_byte(input);
	std::optional<ListFormat> format;

	if (is_compressed(input))
		return 0;
	if ((what & 7) < 5)
		format = static_cast<ListFormat>(what & 7);
	std::string said = read_list(input, format, static_cast<Family>((what >> 3) % 3));
	check(said == read_list(input, format, static_cast<Family>((what >> 3) % 3)),
	      "the same list is read in two ways");
	return 0;
}
