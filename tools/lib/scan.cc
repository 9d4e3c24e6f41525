// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "scan.h"

#include <charconv>

#include "cli.h"

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view word(std::string_view text)
{
	size_t size = 0;

	while (!at_end(text.substr(size)))
		size++;
	return text.substr(0, size);
}

void skip_space(std::string_view &text)
{
	while (!text.empty() && is_space(text[0]))
		text.remove_prefix(1);
}

std::optional<__u64> read_digits(std::string_view &text, __u64 max, bool &above)
{
	std::string_view digits = text;
	__u64 value = 0;
	int base = 10;

	if (digits.starts_with("0x")) {
		digits.remove_prefix(2);
		base = 16;
	}
	auto [end, error] =
		std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
	digits.remove_prefix(end - digits.data());
	if (error == std::errc::invalid_argument || !(at_end(digits) || digits[0] == '-'))
		return {};
	if (error != std::errc() || value > max) {
		above = true;
		return {};
	}
	text = digits;
	return value;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20; // lower case
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool read_hex_byte(std::string_view &text, unsigned char &byte)
{
	if (text.size() < 2 || hex_value(text[0]) < 0 || hex_value(text[1]) < 0)
		return false;
	byte = hex_value(text[0]) << 4 | hex_value(text[1]);
	text.remove_prefix(2);
	return true;
}

std::string excerpt(std::string_view text)
{
	constexpr size_t most = 64;

	return quote(text.substr(0, most)) + (text.size() > most ? "..." : "");
}

std::string quote_word(std::string_view text)
{
	std::string_view found = word(text);

	return excerpt(found.empty() ? text.substr(0, 1) : found);
}

std::string quote_number(std::string_view text)
{
	std::string_view found = word(text);

	return quote_word(found.empty() ? text : found.substr(0, found.find('-', 1)));
}
