// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the targets share. A target is one function, which libFuzzer calls with each input; what
// it finds wrong itself, check() makes a crash.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "../../../tools/lib/fd.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Abort unless `good`. `what` says what is wrong.
inline void check(bool good, const std::string &what)
{
	if (good)
		return;
	fprintf(stderr, "wrong: %s\n", what.c_str());
	abort();
}

inline std::string_view as_text(const uint8_t *data, size_t size)
{
	return {reinterpret_cast<const char *>(data), size};
}

// Remove the first byte of the input, which says what to do with the others. 0 where there is none.
inline uint8_t take_byte(std::string_view &input)
{
	if (input.empty())
		return 0;
	uint8_t byte = input[0];
	input.remove_prefix(1);
	return byte;
}

// Remove the first line of the input.
inline std::string_view take_line(std::string_view &input)
{
	std::string_view line = input.substr(0, input.find('\n'));

	input.remove_prefix(std::min(line.size() + 1, input.size()));
	return line;
}

// Is it a compressed file, by its first bytes? Those are for the target unpack.
inline bool is_compressed(std::string_view file)
{
	using namespace std::string_view_literals;

	return file.starts_with("\x1f\x8b"sv) ||
	       file.starts_with("\xfd"
				"7zXZ"sv) ||
	       file.starts_with("\x28\xb5\x2f\xfd"sv) ||
	       file.substr(0, 4).ends_with("\x2a\x4d\x18"sv);
}

// A file in memory, for what reads files only.
class MemoryFile
{
public:
	explicit MemoryFile(std::string_view bytes) : fd_(memfd_create("fuzz", MFD_CLOEXEC))
	{
		check(fd_ && write(fd_.get(), bytes.data(), bytes.size()) ==
				      static_cast<ssize_t>(bytes.size()),
		      "no file in memory");
	}

	std::string path() const
	{
		return "/proc/self/fd/" + std::to_string(fd_.get());
	}

private:
	Fd fd_;
};
