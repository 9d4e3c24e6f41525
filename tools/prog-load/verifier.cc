// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "verifier.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

// The log line by line; without --verbose its statistics are left out.
static std::vector<std::string> split_log(const char *log, bool verbose)
{
	std::vector<std::string> lines;
	std::string_view rest = log;

	while (!rest.empty()) {
		std::string_view line = rest.substr(0, rest.find('\n'));

		rest.remove_prefix(std::min(line.size() + 1, rest.size()));
		if (verbose || !line.starts_with("processed "))
			lines.emplace_back(line);
	}
	return lines;
}

// The cause behind the verifier's message, for the most frequent ones; or "".
static std::string why_rejected(std::string_view log)
{
	static constexpr std::pair<std::string_view, const char *> causes[] = {
		{"invalid func unknown#", "this kernel has no such helper"},
		{"unknown func ", "this kernel has no such helper for a program of this type"},
		{"program of this type cannot use helper",
		 "this kernel has no such helper for a program of this type"},
		{"cannot call GPL-restricted function from non-GPL compatible program",
		 "its license is not GPL-compatible"},
		{"cannot call GPL only function from proprietary program",
		 "its license is not GPL-compatible"},
	};

	for (const auto &[text, cause] : causes)
		if (log.find(text) != std::string_view::npos)
			return std::string(" (") + cause + ")";
	return "";
}

constexpr size_t last_lines = 10; // without --verbose

std::string describe_rejection(const char *log, bool verbose)
{
	std::vector<std::string> lines = split_log(log, verbose);
	size_t from = verbose || lines.size() < last_lines ? 0 : lines.size() - last_lines;
	std::string text;

	if (lines.empty())
		return {};
	text = "rejected by the verifier" + why_rejected(log);
	for (size_t i = from; i < lines.size(); i++)
		text += "\n    " + lines[i];
	return text;
}
