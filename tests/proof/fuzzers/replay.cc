// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// A target without libFuzzer and sanitizers, which any compiler builds in a second:
//
//   NAME FILE...    each file is an input. It is named on standard error first: the last name there
//                   is the one of a crash. Prints how many there were
#include <fstream>
#include <iostream>
#include <iterator>

#include "fuzz.h"

static std::string read_file(const char *path)
{
	std::ifstream file(path, std::ios::binary);

	check(file.good(), std::string("cannot read ") + path);
	return {std::istreambuf_iterator<char>(file), {}};
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		std::string input = read_file(argv[i]);

		std::cerr << argv[i] << '\n';
		LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(input.data()),
				       input.size());
	}
	std::cout << argc - 1 << '\n';
	return 0;
}
