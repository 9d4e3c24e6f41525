// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "input.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "../lib/address.h"
#include "../lib/cli.h"
#include "../lib/lines.h"

constexpr size_t line_max = size_t{1} << 20; // bytes of a line

// The line without a comment at its end, and without the blanks around.
static std::string_view strip_comment(std::string_view line)
{
	constexpr std::string_view blanks = " \t\r";

	line = line.substr(0, line.find_first_of("#;"));
	line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
	return line.substr(0, line.find_last_not_of(blanks) + 1);
}

template <typename Family> static Range<Family> parse_range(std::string_view text)
{
	using Address = typename Family::Address;
	std::array<unsigned char, sizeof(Address)> bytes;
	__u32 length = parse_cidr(text, bytes);
	Address first = to_integer<Address>(bytes);
	Address host = length ? (Address{1} << (Family::bits - length)) - 1 : ~Address{0};

	return {first, first | host};
}

// Of IPv6, a v4-mapped address is an IPv4 one: no packet has it as its source. All of them, which
// lists of bogons have as ::ffff:0:0/96, is not: it would be every IPv4 address.
static void add_ip6(const Range<V6> &range, List &list)
{
	constexpr V6::Address mapped = V6::Address{0xffff} << V4::bits;

	if (range.first >> V4::bits == 0xffff && range.last - range.first < UINT32_MAX)
		list.v4.push_back({static_cast<V4::Address>(range.first - mapped),
				   static_cast<V4::Address>(range.last - mapped)});
	else
		list.v6.push_back(range);
}

static void add_line(std::string_view line, Input &input)
{
	std::string_view entry = strip_comment(line);

	if (entry.empty())
		return;
	if (entry.find(':') == std::string_view::npos)
		input.list.v4.push_back(parse_range<V4>(entry));
	else
		add_ip6(parse_range<V6>(entry), input.list);
	input.read++;
}

// Why the FILE is refused; empty if it is not. A failed download is an empty file, or a page that
// says so: nobody wants that to unblock what was blocked, even where other FILEs have entries.
static std::string why_refused(const std::string &path, size_t read, size_t bad,
			       const Limits &limits)
{
	std::string name = input_name(path);

	if (!read && !limits.allow_empty)
		return name + " has no entry" + (bad ? ", but " + bad_lines(bad) : "") +
		       " (--allow-empty permits it)";
	if (bad * 100 > (bad + read) * limits.max_bad)
		return name + " has " + bad_lines(bad) + " of " + std::to_string(bad + read) +
		       ", more than " + std::to_string(limits.max_bad) + " % (--max-bad)";
	return {};
}

// Returns how many lines are bad.
static size_t read_file(const std::string &path, Input &input)
{
	Lines lines(path, "#;", line_max);
	std::string_view line;

	while (lines.next(line)) {
		try {
			if (lines.is_cut())
				throw ValueError("the line is longer than a megabyte");
			add_line(line, input);
		} catch (const ValueError &e) {
			lines.print_bad(e.what());
		}
	}
	return lines.bad();
}

Input read_files(const std::vector<std::string> &paths, const Limits &limits,
		 const std::string &what, const char *outcome)
{
	std::vector<size_t> read; // of each FILE
	std::vector<size_t> bad;
	Input input;

	for (const std::string &path : paths) {
		size_t before = input.read;

		bad.push_back(read_file(path, input));
		read.push_back(input.read - before);
		input.bad += bad.back();
	}
	// All bad lines are printed by now.
	std::string reason;
	if (input.bad && !limits.skip_bad)
		reason = bad_lines(input.bad);
	for (size_t i = 0; i < paths.size() && reason.empty(); i++)
		reason = why_refused(paths[i], read[i], bad[i], limits);
	if (!reason.empty())
		fail(what, reason + outcome);
	merge(input.list.v4);
	merge(input.list.v6);
	return input;
}
