// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "verifier.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "../lib/capability.h"

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
		{"cannot call GPL-restricted function from non-GPL compatible program",
		 "its license is not GPL-compatible"},
		{"cannot call GPL only function from proprietary program",
		 "its license is not GPL-compatible"},
	};
	static constexpr std::string_view no_helper[] = {"unknown func ",
							 "program of this type cannot use helper"};
	auto says = [&](std::string_view text) { return log.find(text) != std::string_view::npos; };

	for (const auto &[text, cause] : causes)
		if (says(text))
			return std::string(" (") + cause + ")";
	// Some helpers, and arithmetic with pointers, are for those who have these. The log says so
	// in many ways, "prohibited for !root" among them, or not at all.
	std::string missing = missing_capabilities({CAP_BPF, CAP_PERFMON}, CountsFor::Bpf);
	if (!missing.empty())
		return " (which allows less without " + missing + ")";
	if (std::any_of(std::begin(no_helper), std::end(no_helper), says))
		return " (this kernel has no such helper for a program of this type)";
	return "";
}

constexpr size_t last_lines = 10; // without --verbose

// Leave the lines that say what is wrong. Linux 7.2 says more below its old message: "Verification
// failed", the reason and the place, and after these the causal path, which is long.
static void shorten(std::vector<std::string> &lines)
{
	auto verdict = std::find_if(lines.begin(), lines.end(), [](const std::string &line) {
		return line.starts_with("Verification failed: ");
	});
	size_t before = verdict - lines.begin();

	lines.erase(std::find(verdict, lines.end(), "Causal path:"), lines.end());
	while (!lines.empty() && lines.back().empty())
		lines.pop_back();
	size_t said = lines.size() - std::min(before, lines.size());
	size_t kept = std::max(said + 3, last_lines); // three lines: the old message
	if (lines.size() > kept)
		lines.erase(lines.begin(), lines.begin() + static_cast<long>(lines.size() - kept));
}

std::string describe_rejection(const char *log, bool verbose)
{
	std::vector<std::string> lines = split_log(log, verbose);
	std::string text;

	if (lines.empty())
		return {};
	text = "rejected by the verifier" + why_rejected(log);
	if (!verbose)
		shorten(lines);
	for (const std::string &line : lines)
		text += "\n    " + line;
	return text;
}
