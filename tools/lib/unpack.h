// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A file that may be compressed by gzip(1), xz(1) or zstd(1): what it was before. Which of them,
// its first bytes say, not its name. Several compressed files, one behind the other, are one file.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "fd.h"

// Takes bytes from the front of `in`, and puts what they unpack to at the front of `out`: both get
// smaller. `at_end` says that no more bytes will come. Returns true where the file may end here.
// Fails where the bytes are damaged.
class Decoder
{
public:
	virtual ~Decoder() = default;
	virtual bool decode(std::string_view &in, std::span<char> &out, bool at_end) = 0;
};

class Unpacker
{
public:
	// Open the file, or standard input if the path is "-". `what` says what is being done, for
	// fail(): "read 'FILE'".
	Unpacker(const std::string &path, const std::string &what);

	// Read so many bytes, or fewer where the file ends. Fails where it cannot be read, is
	// damaged, or ends too early, or where other data follows the compressed data.
	size_t read(std::span<char> to);

private:
	size_t read_file(std::span<char> to);
	void fill();

	std::string what_;
	Fd fd_;
	std::string packed_;
	std::string_view rest_; // the part of packed_ that is still to be unpacked
	std::unique_ptr<Decoder> decoder_;
	bool at_end_ = false; // of the file, where rest_ is the last of it
};
