// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Text, character by character: words, numbers, hexadecimal digits, and how they are quoted
// in messages. What reads from the front of a text removes what it has read.
#pragma once

#include <linux/types.h>

#include <array>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

using Bytes = std::span<const unsigned char>;

// A text is not a value of its type. what() is the reason alone: "'70000' is above 65535".
struct ValueError : std::runtime_error {
	using std::runtime_error::runtime_error;
};

// The characters that end a word: white space, control characters and  = # { } [ ] "
inline constexpr std::array<bool, 256> word_ends = [] {
	std::array<bool, 256> table = {};

	for (int c = 0; c <= ' '; c++)
		table[c] = true;
	table[0x7f] = true;
	for (unsigned char c : std::string_view("=#{}[]\""))
		table[c] = true;
	return table;
}();

// Does the word before this text end here?
inline bool at_end(std::string_view text)
{
	return text.empty() || word_ends[static_cast<unsigned char>(text[0])];
}

inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

// The word at the front of `text`, which stays there.
std::string_view word(std::string_view text);

// Remove the character `c` from the front. Returns false where another one is there.
inline bool skip(std::string_view &text, char c)
{
	if (text.empty() || text[0] != c)
		return false;
	text.remove_prefix(1);
	return true;
}

void skip_space(std::string_view &text);

// Read digits, or 0x and hexadecimal digits, up to the end of the word or to a '-'. Returns
// nothing where there are none, where other text follows, or where the number is above `max`;
// then `above` is set.
std::optional<__u64> read_digits(std::string_view &text, __u64 max, bool &above);

// Read two hexadecimal digits.
bool read_hex_byte(std::string_view &text, unsigned char &byte);

// Write two hexadecimal digits. Returns their end.
inline char *write_hex(char *out, unsigned char byte)
{
	constexpr char digits[] = "0123456789abcdef";

	out[0] = digits[byte >> 4];
	out[1] = digits[byte & 15];
	return out + 2;
}

// 'text', for messages. A line of a list may have any length: of a long text, its beginning.
std::string excerpt(std::string_view text);

// The same for the word at the front, or, where there is none, for the first character.
std::string quote_word(std::string_view text);

// The same for the number at the front, which ends at a '-' too.
std::string quote_number(std::string_view text);
