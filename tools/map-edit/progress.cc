// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "progress.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "../lib/cli.h"

using Clock = std::chrono::steady_clock;

constexpr auto first_after = std::chrono::milliseconds(500);
constexpr auto then_every = std::chrono::milliseconds(100);

// NOLINTNEXTLINE(cert-err58-cpp): neither throws
static Clock::time_point next = Clock::now() + first_after;

void Progress::say(const char *doing, size_t count)
{
	auto now = Clock::now();

	if (now < next || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K%s: %s %zu", tool_name().c_str(), doing, count);
	shown_ = true;
	next = now + then_every;
}

void Progress::clear()
{
	if (shown_)
		fputs("\r\033[K", stderr);
	shown_ = false;
}
