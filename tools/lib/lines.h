// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A list that people write or download: one entry per line, `#` begins a comment.
#pragma once

#include <string>
#include <string_view>

#include "unpack.h"

// The lines of a list that have an entry. The list is read in blocks: it may be larger than
// memory, as a compressed list can unpack to any size.
class Lines
{
public:
	// Open the file, which may be compressed, or standard input if the path is "-". A line
	// whose first character is one of `comments` is skipped, and so is a blank line; a comment
	// after an entry is left to the caller. `longest` is the number of bytes that a line has to
	// stay below.
	Lines(const std::string &path, std::string_view comments, size_t longest);

	// The next line, without a byte order mark, blanks before it, and its end (LF or CR LF).
	// It is valid until the next call. Returns false after the last one. Fails when the file
	// cannot be read.
	bool next(std::string_view &line);

	// Is the last line too long? Then it was cut there, and next() skips the rest. It is
	// returned even if it is a comment. Skipping fails after 64 MiB: such a file is no text.
	bool is_cut() const
	{
		return cut_;
	}

	// The number of the last line in its file, from 1 on.
	size_t number() const
	{
		return number_;
	}

	// "read 'FILE'", for fail().
	const std::string &what() const
	{
		return what_;
	}

	// Count the last line as a bad one, and print "TOOL: FILE:12: reason". Only the first 20
	// are printed: a whole file may be no list. At its end, next() prints how many more there
	// were.
	void print_bad(const char *reason);

	// Fail where there are so many bad lines, a million, that this is no list, or may have no
	// end. `what` and `outcome` are what is being done, and that it is not.
	void check_bad(const std::string &what, const std::string &outcome) const;

	// How many bad lines print_bad() was called for.
	size_t bad() const
	{
		return bad_;
	}

private:
	bool next_raw(std::string_view &line);
	void print_unprinted() const;
	void fill();

	std::string name_;
	std::string what_;
	std::string_view comments_;
	size_t longest_;
	size_t number_ = 0;
	size_t bad_ = 0;
	size_t skipped_ = 0; // bytes of the last line, which is too long
	Unpacker file_;
	std::string buffer_;
	std::string_view rest_; // the part of the buffer that is still to be returned
	bool at_end_ = false;	// of the file
	bool cut_ = false;
};

// What messages call the file: 'FILE', or standard input.
std::string input_name(const std::string &path);

// Has a list of `before` entries become shorter by more than so many per cent, at `after`? Then
// this says so: "7 entries in place of 100, …". Otherwise it is empty.
std::string why_shrunk(size_t before, size_t after, unsigned max_percent);

// "1 bad line", "12 bad lines".
std::string bad_lines(size_t count);
