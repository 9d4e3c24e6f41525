// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The lines of a list, by Lines and by the few rules in lines.h. The first byte says how long a
// line may be, and which comments there are.
#include "../../../tools/lib/lines.h"

#include <vector>

#include "fuzz.h"

struct Line {
	size_t number;
	std::string text;
	bool is_cut;

	bool operator==(const Line &) const = default;
};

static std::vector<Line> known_lines(std::string_view file, std::string_view comments,
				     size_t longest)
{
	std::vector<Line> lines;

	for (size_t number = 1; !file.empty(); number++) {
		std::string_view line = take_line(file);
		// With its LF it has to stay within the limit; at the end there may be none.
		bool is_cut = line.size() >= longest;
		if (is_cut)
			line = line.substr(0, longest);
		if (number == 1 && line.starts_with("\xef\xbb\xbf"))
			line.remove_prefix(3);
		if (line.ends_with('\r'))
			line.remove_suffix(1);
		line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
		if (is_cut || !(line.empty() || comments.find(line[0]) != line.npos))
			lines.push_back({number, std::string(line), is_cut});
	}
	return lines;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	constexpr size_t longest[] = {2, 5, 16, 100, 4096, 65536, 300000, 1 << 20};
	std::string_view input = as_text(data, size);
	uint8_t what = take_byte(input);
	std::string_view comments = what & 8 ? "#;" : "#";

	if (is_compressed(input))
		return 0;
	MemoryFile file(input);
	Lines lines(file.path(), comments, longest[what & 7]);
	std::vector<Line> found;
	std::string_view line;
	while (lines.next(line)) {
		found.push_back({lines.number(), std::string(line), lines.is_cut()});
		if (what & 16)
			lines.print_bad("it is bad");
	}
	check(!(what & 16) || lines.bad() == found.size(), "another number of bad lines");
	check(found == known_lines(input, comments, longest[what & 7]), "other lines");
	return 0;
}
