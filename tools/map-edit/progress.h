// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#pragma once

#include <cstddef>

// A line on stderr that says how far long work is. It is printed only on a terminal, and only
// if the tool has run for half a second.
class Progress
{
public:
	Progress() = default;
	Progress(const Progress &) = delete;
	Progress &operator=(const Progress &) = delete;
	~Progress()
	{
		clear();
	}

	// Print "TOOL: doing count", in place of the line before.
	void say(const char *doing, size_t count);
	void clear();

private:
	bool shown_ = false;
};
