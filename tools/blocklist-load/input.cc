// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "input.h"

#include <string_view>

#include "../lib/cli.h"
#include "../lib/lines.h"
#include "../lib/scan.h"

constexpr size_t line_max = size_t{1} << 20; // bytes of a line

static void add(const ListedRange &range, List &list)
{
	if (range.is_ip4)
		list.v4.push_back({static_cast<V4::Address>(range.first),
				   static_cast<V4::Address>(range.last)});
	else
		list.v6.push_back({range.first, range.last});
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
static size_t read_file(const std::string &path, const Limits &limits, Input &input,
			const std::string &what, const char *outcome)
{
	Lines lines(path, "#;", line_max);
	ListParser parser(limits.format, Family::Any);
	std::string_view line;
	std::string_view rest;
	ListedRange range;

	while (lines.next(line)) {
		try {
			if (lines.is_cut())
				throw ValueError("the line is longer than a megabyte");
			if (!parser.parse(line, range, rest))
				continue;
			if (!rest.empty())
				throw ValueError("unexpected text after the address: " +
						 excerpt(rest));
			add(range, input.list);
			input.read++;
		} catch (const ValueError &e) {
			lines.print_bad(e.what());
		}
		lines.check_bad(what, outcome);
		if (input.read > limits.max_entries)
			fail(what, input_name(path) + " has entry " + std::to_string(input.read) +
					   " (--max-entries)" + outcome);
	}
	input.formats.push_back(parser.format());
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

		bad.push_back(read_file(path, limits, input, what, outcome));
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
