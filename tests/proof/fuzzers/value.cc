// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Values of types that are named: "TYPE", and on the next line text to read as one. The bytes of
// the text are printed as such a value as well.
#include "../../../tools/lib/value.h"

#include "../../../tools/lib/cli.h"
#include "../../../tools/lib/part.h"
#include "fuzz.h"
#include "values.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	std::string_view input = as_text(data, size);
	std::string name(take_line(input));

	try {
		Type type = named_type(name);
		if (type.size > largest_value)
			return 0;
		check_parsed(type, input);
		check_printed(type, input);
		find_part(type, input);
	} catch (const UsageError &) {
	} catch (const ValueError &) {
	}
	is_meant(input, name);
	return 0;
}
