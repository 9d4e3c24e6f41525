// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// times N COMMAND [ARGUMENT...]: run it N times, without its output, and print the median of
// the milliseconds that it took as a whole process, and the largest of its peak memory in KiB.
// In ARGUMENT, %d is the number of the run. (A child's peak is at least what its parent had
// when it was made, so this must be a small process, and not Python.)

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../../tools/lib/cli.h"

using Clock = std::chrono::steady_clock;

static int times(int argc, char **argv)
{
	if (argc < 3)
		fail("read the arguments", "they are not N COMMAND [ARGUMENT...]");
	auto n = static_cast<long>(parse_number(argv[1], "N", 1, 1000000));
	std::vector<double> took;
	long peak = 0;

	posix_spawn_file_actions_t quiet;
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	for (long i = 0; i < n; i++) {
		std::vector<std::string> words(argv + 2, argv + argc);
		std::vector<char *> command;
		struct rusage usage;
		int status;
		pid_t pid;

		for (std::string &word : words) {
			if (size_t at = word.find("%d"); at != std::string::npos)
				word.replace(at, 2, std::to_string(i));
			command.push_back(word.data());
		}
		command.push_back(nullptr);
		auto begin = Clock::now();
		int err = posix_spawnp(&pid, command[0], &quiet, nullptr, command.data(), environ);
		if (err)
			fail(err, "run " + quote(command[0]));
		if (wait4(pid, &status, 0, &usage) != pid)
			fail(errno, "wait for " + quote(command[0]));
		took.push_back(
			std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
		peak = std::max(peak, usage.ru_maxrss);
		if (status)
			fail("run " + quote(command[0]), "it failed");
	}
	std::nth_element(took.begin(), took.begin() + n / 2, took.end());
	printf("%.4f %ld\n", took[n / 2], peak);
	return 0;
}

int main(int argc, char **argv)
{
	return run_tool("times", times, argc, argv);
}
