// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "../lib/json.h"

static std::string result_text(const Interface &dev, const Result &result, bool detached)
{
	std::string text = (detached ? "detached program " : "attached program ") +
			   std::to_string(result.id) + (detached ? " from " : " to ") +
			   quote(dev.name) + " in " + result.mode->name + " mode";

	if (result.replaced)
		text += ", in place of program " + std::to_string(result.replaced);
	if (result.link_id)
		text += ", by link " + std::to_string(result.link_id);
	if (!result.why_generic.empty())
		text += ", not native: " + result.why_generic;
	return text;
}

static nlohmann::ordered_json result_json(const Interface &dev, const Result &result,
					  const std::string &pin)
{
	nlohmann::ordered_json json = {{"devname", dev.name},
				       {"ifindex", dev.index},
				       {"mode", result.mode->name},
				       {"id", result.id}};

	if (result.replaced)
		json["replaced"] = result.replaced;
	if (result.link_id) {
		json["link_id"] = result.link_id;
		json["pinned"] = pin;
	}
	if (!result.why_generic.empty())
		json["why_generic"] = result.why_generic;
	return json;
}

void report(const Interface &dev, const std::vector<Result> &results, bool detached,
	    const std::string &pin, const CommonOptions &common)
{
	nlohmann::ordered_json list = nlohmann::ordered_json::array();
	std::string done;

	for (const Result &result : results) {
		std::string text = result_text(dev, result, detached);

		if (common.json)
			list.push_back(result_json(dev, result, pin));
		else
			puts(printable(text).c_str());
		done += (done.empty() ? "" : ", ") + text;
	}
	if (common.json)
		print_json(list, common.pretty);
	// Packets take the new way already: this is not undone.
	flush_stdout("but it is done: " + done);
}
