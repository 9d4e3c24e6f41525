// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "cli.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>

static std::string name;

[[noreturn]] void fail(int err, const std::string &what, const std::string &cause)
{
	if (err == enotsupp)
		err = EOPNOTSUPP;
	fail(what, strerror(err) + (cause.empty() ? "" : " (" + cause + ")"));
}

[[noreturn]] void fail(const std::string &what, const std::string &reason)
{
	throw std::runtime_error(what + ": " + reason);
}

void warn(const std::string &text)
{
	fprintf(stderr, "%s: warning: %s\n", name.c_str(), text.c_str());
}

std::string quote(std::string_view text)
{
	std::string out = "'";

	for (unsigned char c : text) {
		if (c >= 0x20 && c != 0x7f) {
			out += static_cast<char>(c);
			continue;
		}
		char hex[5];
		snprintf(hex, sizeof(hex), "\\x%02x", c);
		out += hex;
	}
	return out + "'";
}

uint64_t parse_number(std::string_view text, const std::string &name, uint64_t min, uint64_t max,
		      int base)
{
	std::string_view digits = text;
	uint64_t value = 0;

	if (base == 10 && digits.starts_with("0x")) {
		digits.remove_prefix(2);
		base = 16;
	}
	auto [end, error] =
		std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
	if (error == std::errc::invalid_argument || end != digits.data() + digits.size())
		throw UsageError(name + " " + quote(text) +
				 (base == 16 && digits == text ? " is not a hexadecimal number"
							       : " is not a number"));
	if (error == std::errc::result_out_of_range || value < min || value > max)
		throw UsageError(name + " " + quote(text) + " is not between " +
				 std::to_string(min) + " and " + std::to_string(max));
	return value;
}

bool is_digits(std::string_view text)
{
	return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string require_nonempty(const std::string &text, const std::string &option)
{
	if (text.empty())
		throw UsageError(option + " is empty");
	return text;
}

static bool print_log;
static std::vector<std::string> warnings;

static int take_log(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN) {
		char line[1024];
		va_list copy;

		va_copy(copy, args);
		vsnprintf(line, sizeof(line), format, copy);
		va_end(copy);
		warnings.emplace_back(line, strcspn(line, "\n"));
	}
	return print_log ? vfprintf(stderr, format, args) : 0;
}

void log_libbpf()
{
	print_log = true;
}

const std::vector<std::string> &libbpf_warnings()
{
	return warnings;
}

void clear_libbpf_warnings()
{
	warnings.clear();
}

const std::string &tool_name()
{
	return name;
}

// Thrown when the line that says what is wrong is already out.
struct Reported {
};

bool take_common_option(int option, CommonOptions &common, void (*usage)())
{
	switch (option) {
	case 'n':
		common.netns = require_nonempty(optarg, "--netns");
		return true;
	case 'j':
		common.json = true;
		return true;
	case 'p':
		common.json = common.pretty = true;
		return true;
	case 'v':
		common.verbose = true;
		log_libbpf();
		return true;
	case 'h':
		usage();
		return false;
	case 'V':
		printf("%s (hookset) %s\n", name.c_str(), HOOKSET_VERSION);
		return false;
	}
	throw Reported();
}

static int misuse()
{
	fprintf(stderr, "Try '%s --help'\n", name.c_str());
	return 2;
}

void write_out(std::string &out, size_t least)
{
	if (out.size() < least)
		return;
	fwrite(out.data(), 1, out.size(), stdout);
	out.clear();
}

void check_stdout()
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		fail(EBADF, "write to standard output");
	signal(SIGPIPE, SIG_IGN);
}

void flush_stdout(const std::string &cause)
{
	if (fflush(stdout) || ferror(stdout))
		fail(errno, "write to standard output", cause);
}

// Where standard input, output or error is closed, what is opened next would be taken
// for it. Now /dev/null is there, the wrong way round: to use it is EBADF, as before.
static void fill_standard_fds()
{
	for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int run_tool(const char *tool, int (*body)(int argc, char **argv), int argc, char **argv)
{
	fill_standard_fds();
	name = tool;
	if (argc > 0)
		argv[0] = name.data(); // getopt_long() begins its messages with it
	libbpf_set_print(take_log);

	try {
		int status = body(argc, argv);

		flush_stdout();
		return status;
	} catch (const UsageError &e) {
		fprintf(stderr, "%s: %s\n", tool, e.what());
		return misuse();
	} catch (const Reported &) {
		return misuse();
	} catch (const std::bad_alloc &) {
		fprintf(stderr, "%s: out of memory\n", tool);
		return 1;
	} catch (const std::exception &e) {
		fprintf(stderr, "%s: %s\n", tool, e.what());
		return 1;
	}
}
