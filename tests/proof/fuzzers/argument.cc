// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Arguments and messages: numbers, formats, and text that is made printable. The first byte says
// the base and the bounds; strtoull(3) knows the number.
#include <cctype>
#include <cerrno>

#include "../../../tools/lib/cli.h"
#include "../../../tools/lib/list.h"
#include "../../../tools/lib/scan.h"
#include "fuzz.h"

static void check_number(const std::string &text, uint64_t min, uint64_t max, int base)
{
	uint64_t number = 0;

	try {
		number = parse_number(text, "it", min, max, base);
	} catch (const UsageError &) {
		// Plain digits within the bounds are never refused.
		if (!is_digits(text) || text.size() > 15)
			return;
		uint64_t known = strtoull(text.c_str(), nullptr, base);
		check(known < min || known > max, "a good number is refused: " + text);
		return;
	}
	bool is_hex = base == 16 || text.starts_with("0x") || text.starts_with("0X");
	char *end;
	errno = 0;
	uint64_t known = strtoull(text.c_str(), &end, is_hex ? 16 : 10);
	check(!errno && end == text.c_str() + text.size() && !text.empty() &&
		      isxdigit(static_cast<unsigned char>(text[0])),
	      "no number is taken: " + text);
	check(number == known && number >= min && number <= max, "another number: " + text);
}

static void check_printable(std::string_view text)
{
	for (char c :
	     printable(text) + quote(text) + excerpt(text) + quote_word(text) + quote_number(text))
		check(c >= ' ' && c < 0x7f, "a message is not printable");
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	constexpr uint64_t bounds[] = {
		0, 1, 255, 65535, UINT32_MAX, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
	std::string_view input = as_text(data, size);
	uint8_t what = take_byte(input);
	std::string text(input);

	check_number(text, what >> 3 & 1, bounds[what & 7], what & 16 ? 16 : 10);
	check_printable(text);
	try {
		ListFormat format = parse_format(text);
		check(format_name(format) == text, "another format");
	} catch (const UsageError &) {
	}
	return 0;
}
