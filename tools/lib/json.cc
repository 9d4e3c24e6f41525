// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "json.h"

#include <cstdio>
#include <nlohmann/json.hpp>

std::string json_text(const nlohmann::ordered_json &json, bool pretty, bool ascii)
{
	return json.dump(pretty ? 4 : -1, ' ', ascii, nlohmann::json::error_handler_t::replace);
}

void print_json(const nlohmann::ordered_json &json, bool pretty)
{
	puts(json_text(json, pretty).c_str());
}
