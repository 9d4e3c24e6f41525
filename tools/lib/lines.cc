// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lines.h"

#include <algorithm>
#include <cstdio>
#include <span>

#include "cli.h"

constexpr size_t block = size_t{256} << 10;	       // bytes that are read at a time
constexpr size_t printed_bad = 20;		       // bad lines of a file
constexpr size_t most_bad = 1000000;		       // after so many it is no list, or has no end
constexpr size_t longest_skipped = size_t{64} << 20;   // bytes of a line, for the same reason
constexpr std::string_view utf8_mark = "\xef\xbb\xbf"; // editors write it at the beginning

Lines::Lines(const std::string &path, std::string_view comments, size_t longest)
    : name_(path == "-" ? "standard input" : path), what_("read " + input_name(path)),
      comments_(comments), longest_(longest), file_(path, what_),
      buffer_(std::min(block, longest), '\0')
{
}

// Read until the buffer is full, or the file ends.
void Lines::fill()
{
	size_t size = rest_.size();

	std::copy(rest_.begin(), rest_.end(), buffer_.begin());
	if (size == buffer_.size()) // a long line
		buffer_.resize(std::min(2 * size, longest_));
	std::span<char> room = std::span(buffer_).subspan(size);
	size_t n = file_.read(room);
	at_end_ = n < room.size();
	rest_ = std::string_view(buffer_).substr(0, size + n);
}

// The next line as it is in the file, without its LF.
bool Lines::next_raw(std::string_view &line)
{
	for (;;) {
		size_t end = rest_.find('\n');
		bool whole = end != std::string_view::npos || at_end_;

		if (!whole && rest_.size() < longest_) {
			fill();
			continue;
		}
		if (rest_.empty())
			return false;
		line = rest_.substr(0, std::min(end, rest_.size()));
		rest_.remove_prefix(std::min(line.size() + 1, rest_.size()));
		bool is_rest = cut_;
		cut_ = !whole;
		skipped_ = is_rest ? skipped_ + line.size() : 0;
		if (skipped_ > longest_skipped)
			fail(what_, "a line is longer than 64 MiB");
		if (!is_rest)
			return true;
	}
}

bool Lines::next(std::string_view &line)
{
	while (next_raw(line)) {
		if (++number_ == 1 && line.starts_with(utf8_mark))
			line.remove_prefix(utf8_mark.size());
		if (line.ends_with('\r'))
			line.remove_suffix(1);
		line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
		if (cut_ || !(line.empty() || comments_.find(line[0]) != std::string_view::npos))
			return true;
	}
	print_unprinted();
	return false;
}

void Lines::print_bad(const char *reason)
{
	if (++bad_ > printed_bad)
		return;
	tell(name_ + ":" + std::to_string(number_) + ": " + reason);
}

void Lines::check_bad(const std::string &what, const std::string &outcome) const
{
	if (bad_ >= most_bad)
		fail(what, bad_lines(bad_) + " so far" + outcome);
}

void Lines::print_unprinted() const
{
	if (bad_ > printed_bad)
		tell(name_ + ": " + std::to_string(bad_ - printed_bad) + " more bad lines");
}

std::string input_name(const std::string &path)
{
	return path == "-" ? "standard input" : quote(path);
}

std::string why_shrunk(size_t before, size_t after, unsigned max_percent)
{
	if (after >= before || (before - after) * 100 <= before * max_percent)
		return {};
	return std::to_string(after) + " entries in place of " + std::to_string(before) +
	       ", more than " + std::to_string(max_percent) +
	       " % fewer (--max-shrink), nothing is changed";
}

std::string bad_lines(size_t count)
{
	return std::to_string(count) + (count == 1 ? " bad line" : " bad lines");
}
